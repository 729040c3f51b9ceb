"""Plain completions and embeddings with the official OpenAI client for Python."""
import base64
import math
import struct

import openai
import pytest
from conftest import CHAT, EMBED, URL

PROMPT = "The capital of France is"


def complete(client, prompt=PROMPT, **more):
    return client.completions.create(model=CHAT, prompt=prompt, **({"temperature": 0, "max_tokens": 8} | more))


def tokens_of(client, text):
    body = {"model": CHAT, "prompt": text, "add_special_tokens": False}
    return client.post(f"{URL}/tokenize", body=body, cast_to=object)["tokens"]


def test_a_prompt_goes_on_and_its_token_ids_go_on_the_same_way(client):
    text = complete(client)
    ids = tokens_of(client, PROMPT)
    assert complete(client, ids).choices[0].text == text.choices[0].text
    assert text.usage.prompt_tokens == len(ids)
    assert "Paris" in text.choices[0].text


def test_several_prompts_are_answered_in_order_as_each_alone(client):
    prompts = ["One, two, three,", PROMPT, "def main():"]
    together = complete(client, prompts)
    assert [choice.index for choice in together.choices] == [0, 1, 2]
    assert [choice.text for choice in together.choices] == [complete(client, prompt).choices[0].text for prompt in prompts]
    ids = [tokens_of(client, prompt) for prompt in prompts]
    assert [choice.text for choice in complete(client, ids).choices] == [choice.text for choice in together.choices]
    assert len(complete(client, prompts, n=2, temperature=1, seed=1).choices) == 6


def test_echo_with_logprobs_scores_the_prompt_as_harnesses_want_it(client):
    answer = complete(client, echo=True, logprobs=3, max_tokens=1)
    choice, ids = answer.choices[0], tokens_of(client, PROMPT)
    scores = choice.logprobs
    assert choice.text.startswith(PROMPT)
    assert len(scores.tokens) == len(scores.token_logprobs) == len(scores.top_logprobs) == len(scores.text_offset) == len(ids) + 1
    assert scores.token_logprobs[0] is None and scores.top_logprobs[0] is None
    assert all(value <= 0 for value in scores.token_logprobs[1:])
    assert "".join(scores.tokens) == choice.text
    assert [choice.text[at:][: len(token)] for at, token in zip(scores.text_offset, scores.tokens)] == scores.tokens
    assert all(3 <= len(best) <= 4 for best in scores.top_logprobs[1:])


def test_a_score_is_the_same_number_beside_its_alternatives_and_the_end_has_one_too(client):
    talk = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nHello! How can I help you today?"
    answer = complete(client, talk, echo=True, logprobs=1, max_tokens=1, extra_body={"parse_special": True})
    scores = answer.choices[0].logprobs
    assert answer.choices[0].finish_reason == "stop" and answer.choices[0].text == talk
    assert len(scores.tokens) == answer.usage.prompt_tokens + 1 and scores.tokens[-1] == "<|im_end|>"
    # Harnesses tell a greedy token by this equality.
    assert scores.token_logprobs[-1] == max(scores.top_logprobs[-1].values())
    assert all(score in best.values() for score, best in zip(scores.token_logprobs[1:], scores.top_logprobs[1:]))


def test_scoring_only_the_prompt_generates_nothing(client):
    answer = complete(client, echo=True, logprobs=0, max_tokens=0)
    assert answer.choices[0].text == PROMPT
    assert answer.usage.completion_tokens == 0
    assert len(answer.choices[0].logprobs.token_logprobs) == len(tokens_of(client, PROMPT))


def test_the_score_of_a_continuation_does_not_depend_on_who_wrote_it(client):
    said = complete(client, logprobs=1)
    text = said.choices[0].text
    ids = tokens_of(client, PROMPT) + tokens_of(client, text)
    scored = complete(client, ids, echo=True, logprobs=1, max_tokens=0).choices[0].logprobs.token_logprobs
    assert scored[-len(said.choices[0].logprobs.token_logprobs) :] == said.choices[0].logprobs.token_logprobs


def test_a_streamed_completion_is_the_whole_one(client):
    whole = complete(client, logprobs=2, echo=True)
    chunks = list(complete(client, logprobs=2, echo=True, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text
    scores = [value for chunk in chunks if chunk.choices and chunk.choices[0].logprobs for value in chunk.choices[0].logprobs.token_logprobs]
    assert scores == whole.choices[0].logprobs.token_logprobs
    assert chunks[-1].usage == whole.usage


def test_a_token_id_outside_the_vocabulary_is_a_bad_request(client):
    with pytest.raises(openai.BadRequestError) as raised:
        complete(client, [1, 2, 4_000_000_000])
    assert raised.value.param == "prompt"


def test_an_encoder_is_refused_for_text_and_a_language_model_for_embeddings(client):
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model=EMBED, prompt="x")
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model=CHAT, input="x")


def test_tokens_and_text_turn_into_each_other(client):
    text = "Grüße, 世界! <|im_end|> 🦀"
    for special in (True, False):
        body = {"model": CHAT, "prompt": text, "parse_special": special, "return_token_strs": True}
        told = client.post(f"{URL}/tokenize", body=body, cast_to=object)
        assert told["count"] == len(told["tokens"]) == len(told["token_strs"])
        back = client.post(f"{URL}/detokenize", body={"model": CHAT, "tokens": told["tokens"]}, cast_to=object)
        assert back["prompt"] == text
    info = client.get(f"{URL}/tokenizer_info?model={CHAT}", cast_to=object)
    assert info["eos_token"] == "<|im_end|>" and "im_start" in info["chat_template"]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b))


def test_embeddings_are_unit_vectors_and_nearer_where_the_meaning_is(client):
    texts = ["A cat sits on the mat.", "A kitten rests on the rug.", "The stock market fell sharply."]
    answer = client.embeddings.create(model=EMBED, input=texts, encoding_format="float")
    cat, kitten, stocks = (entry.embedding for entry in answer.data)
    assert len(cat) == 384 and all(abs(math.sqrt(cosine(v, v)) - 1) < 1e-5 for v in (cat, kitten, stocks))
    assert cosine(cat, kitten) > cosine(cat, stocks) + 0.3
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 10


def test_base64_holds_the_same_numbers_and_is_what_the_client_asks_for(client):
    floats = client.embeddings.create(model=EMBED, input="Hello", encoding_format="float").data[0].embedding
    packed = client.embeddings.create(model=EMBED, input="Hello", encoding_format="base64").data[0].embedding
    assert list(struct.unpack("<384f", base64.b64decode(packed))) == [struct.unpack("<f", struct.pack("<f", x))[0] for x in floats]
    default = client.embeddings.create(model=EMBED, input="Hello").data[0].embedding
    assert all(abs(x - y) < 1e-7 for x, y in zip(default, floats))


def test_a_list_is_embedded_in_order_as_each_alone(client):
    texts = [f"Sentence number {i}." for i in range(5)]
    together = client.embeddings.create(model=EMBED, input=texts).data
    assert [entry.index for entry in together] == list(range(5))
    for text, entry in zip(texts, together):
        alone = client.embeddings.create(model=EMBED, input=text).data[0].embedding
        assert cosine(alone, entry.embedding) > 0.999999
