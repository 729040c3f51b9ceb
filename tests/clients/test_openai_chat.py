"""Chat with the official OpenAI client for Python, against the real server and the real model."""
import asyncio
import json
import math
import time
import urllib.request

import jsonschema
import openai
import pytest
from conftest import CHAT, EMBED, URL

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["C", "F"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
CLOCK = {
    "type": "function",
    "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}},
}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "colours": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 1, "maxItems": 2},
    },
    "required": ["name", "age", "colours"],
    "additionalProperties": False,
}


def test_models_are_listed_and_each_can_be_asked_for(client):
    names = {model.id for model in client.models.list()}
    assert {CHAT, EMBED} <= names
    model = client.models.retrieve(CHAT)
    assert (model.id, model.object) == (CHAT, "model")
    assert model.max_model_len == 8192


def test_a_question_is_answered_with_usage_and_a_fingerprint(say):
    answer = say("What is the capital of France?", max_completion_tokens=32)
    choice = answer.choices[0]
    assert "Paris" in choice.message.content
    assert (choice.message.role, choice.finish_reason) == ("assistant", "stop")
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 10
    assert usage.completion_tokens <= 32
    assert answer.system_fingerprint.startswith("candor-")


def test_a_stream_says_the_same_as_the_whole_answer_and_ends_with_the_usage(say):
    whole = say()
    chunks = list(say(stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == whole.choices[0].finish_reason
    assert len({chunk.id for chunk in chunks}) == 1
    assert len(chunks) > 3, "the answer came in one piece"
    last = chunks[-1]
    assert last.choices == [] and all(chunk.usage is None for chunk in chunks[:-1])
    assert last.usage.prompt_tokens == whole.usage.prompt_tokens
    assert last.usage.completion_tokens == whole.usage.completion_tokens


def test_a_stream_without_include_usage_has_none(say):
    assert all(chunk.usage is None and chunk.choices for chunk in say(stream=True))


def test_the_clients_own_stream_helper_puts_the_answer_together(client, say):
    messages = [{"role": "user", "content": "Name a colour."}]
    settings = {"temperature": 0, "stop": ["."], "max_completion_tokens": 60}
    with client.chat.completions.stream(model=CHAT, messages=messages, **settings) as stream:
        pieces = "".join(event.delta for event in stream if event.type == "content.delta")
        final = stream.get_final_completion()
    assert pieces == final.choices[0].message.content == say(**settings).choices[0].message.content


def test_earlier_turns_and_the_system_message_count(client):
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada!"},
        {"role": "user", "content": [{"type": "text", "text": "What is my name?"}]},
    ]
    answer = client.chat.completions.create(model=CHAT, messages=messages, temperature=0, max_completion_tokens=24)
    rendered = client.post(f"{URL}/tokenize", body={"model": CHAT, "messages": messages}, cast_to=object)
    assert answer.usage.prompt_tokens == rendered["count"] > 30
    alone = client.chat.completions.create(model=CHAT, messages=messages[-1:], temperature=0, max_completion_tokens=24)
    assert answer.choices[0].message.content != alone.choices[0].message.content


def test_n_gives_so_many_answers_and_counts_the_prompt_once(say):
    one = say(temperature=1, seed=5)
    answer = say(temperature=1, n=3, seed=5)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) > 1
    assert answer.usage.prompt_tokens == one.usage.prompt_tokens
    assert answer.choices[0].message.content == one.choices[0].message.content


def test_the_same_seed_says_the_same_twice_and_another_seed_something_else(say):
    first, again, other = (
        say("Tell me a story.", temperature=1.2, seed=seed, max_completion_tokens=24).choices[0].message.content
        for seed in (7, 7, 8)
    )
    assert first == again != other


def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(say):
    whole = say("Count from one to ten.", max_completion_tokens=32).choices[0].message.content
    stop = whole[len(whole) // 2 :][:3]
    answer = say("Count from one to ten.", max_completion_tokens=32, stop=[stop, "never to be seen"]).choices[0]
    assert answer.finish_reason == "stop"
    assert answer.message.content == whole[: whole.index(stop)]


def test_at_most_so_many_tokens_come(client, say):
    answer = say("Tell me a long story.", max_completion_tokens=5)
    assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (5, "length")
    messages = [{"role": "user", "content": "Tell me a long story."}]
    older = client.chat.completions.create(model=CHAT, messages=messages, max_tokens=5, temperature=0)
    assert older.choices[0].message.content == answer.choices[0].message.content


def test_up_to_twenty_log_probabilities_are_sorted_and_hold_the_greedy_token(say):
    answer = say(logprobs=True, top_logprobs=20).choices[0]
    tokens = answer.logprobs.content
    assert "".join(token.token for token in tokens) == answer.message.content
    for token in tokens:
        values = [top.logprob for top in token.top_logprobs]
        assert len(values) == 20 and values == sorted(values, reverse=True)
        assert token.logprob == values[0] <= 0
        assert sum(map(math.exp, values)) <= 1.0001
        assert bytes(token.bytes).decode(errors="replace") == token.token


def test_streamed_log_probabilities_are_those_of_the_whole_answer(say):
    whole = say(logprobs=True, top_logprobs=2).choices[0].logprobs.content
    streamed = []
    for chunk in say(logprobs=True, top_logprobs=2, stream=True):
        if chunk.choices and chunk.choices[0].logprobs:
            streamed += chunk.choices[0].logprobs.content
    assert [(t.token, t.logprob) for t in streamed] == [(t.token, t.logprob) for t in whole]


def test_tokens_can_be_named_by_their_ids(say):
    tokens = say(logprobs=True, top_logprobs=1, extra_body={"return_tokens_as_token_ids": True}).choices[0].logprobs.content
    assert all(token.token.startswith("token_id:") and token.token[9:].isdigit() for token in tokens)


def test_a_logit_bias_forbids_and_forces_tokens(say):
    named = say(logprobs=True, max_completion_tokens=1, extra_body={"return_tokens_as_token_ids": True}).choices[0]
    first = named.logprobs.content[0].token.removeprefix("token_id:")
    without = say(max_completion_tokens=1, logit_bias={first: -100}).choices[0].message.content
    assert without != say(max_completion_tokens=1).choices[0].message.content
    forced = say(max_completion_tokens=3, logit_bias={"28": 100}, logprobs=True, extra_body={"return_tokens_as_token_ids": True})
    assert [token.token for token in forced.choices[0].logprobs.content] == ["token_id:28"] * 3


def test_further_sampling_settings_are_taken(say):
    more = {"top_k": 5, "min_p": 0.05, "typical_p": 0.9, "repetition_penalty": 1.1, "dry_multiplier": 0.8}
    answer = say(temperature=0.8, top_p=0.9, presence_penalty=0.5, frequency_penalty=0.5, seed=1, extra_body=more)
    assert answer.choices[0].message.content


def test_a_required_tool_is_called_with_arguments_that_fit_its_schema(say):
    answer = say("What is the weather in Paris?", tools=[WEATHER], tool_choice="required", max_completion_tokens=100)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    for call in choice.message.tool_calls:
        assert (call.type, call.function.name) == ("function", "get_weather") and call.id
        jsonschema.validate(json.loads(call.function.arguments), WEATHER["function"]["parameters"])


def test_a_named_tool_is_called_and_no_other(say):
    named = {"type": "function", "function": {"name": "get_time"}}
    message = say("What is the weather in Paris?", tools=[WEATHER, CLOCK], tool_choice=named, max_completion_tokens=60).choices[0].message
    assert [call.function.name for call in message.tool_calls] == ["get_time"]
    assert json.loads(message.tool_calls[0].function.arguments) == {}


def test_without_tool_choice_none_no_tool_is_called(say):
    message = say("What is the weather in Paris?", tools=[WEATHER], tool_choice="none").choices[0].message
    assert message.tool_calls is None and message.content


def test_a_streamed_tool_call_has_one_id_and_whole_arguments(say):
    chunks = list(say("The weather in Paris?", tools=[WEATHER], tool_choice="required", max_completion_tokens=100, stream=True))
    parts = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or []]
    first = [part for part in parts if part.index == 0]
    assert len([part.id for part in first if part.id]) == 1
    arguments = "".join(part.function.arguments or "" for part in first)
    jsonschema.validate(json.loads(arguments), WEATHER["function"]["parameters"])
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_a_tools_answer_is_read(client):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "12:34"},
    ]
    answer = client.chat.completions.create(model=CHAT, messages=messages, tools=[CLOCK], temperature=0, max_completion_tokens=16)
    assert answer.choices[0].finish_reason in ("stop", "length", "tool_calls")


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_json_of_a_schema_fits_the_schema(say, temperature):
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    answer = say("Describe a person as JSON.", response_format=form, temperature=temperature, seed=3, max_completion_tokens=200)
    assert answer.choices[0].finish_reason == "stop"
    jsonschema.validate(json.loads(answer.choices[0].message.content), PERSON)


def test_a_json_object_is_one(say):
    answer = say('Answer with {"answer": 4}.', response_format={"type": "json_object"}, max_completion_tokens=300)
    choice = answer.choices[0]
    assert choice.message.content.lstrip().startswith("{")
    if choice.finish_reason == "stop":
        assert isinstance(json.loads(choice.message.content), dict)


def test_vllms_constraints_hold(say):
    texts = [
        say(extra_body={"guided_choice": ["crimson", "teal"]}).choices[0].message.content,
        say(extra_body={"structured_outputs": {"regex": "[0-9]{3}-[0-9]{2}"}}).choices[0].message.content,
        say(extra_body={"guided_grammar": 'start: "yes" | "no"'}).choices[0].message.content,
        say(extra_body={"structured_outputs": {"substring": "one two three"}}).choices[0].message.content,
    ]
    assert texts[0] in ("crimson", "teal")
    assert len(texts[1]) == 6 and texts[1].replace("-", "").isdigit()
    assert texts[2] in ("yes", "no")
    assert texts[3] in "one two three"


def test_an_unknown_model_is_a_not_found_error_that_names_the_models(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.chat.completions.create(model="no-such-model", messages=[{"role": "user", "content": "hi"}])
    assert raised.value.code == "model_not_found"
    assert CHAT in raised.value.message


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("temperature", {"temperature": 3}),
        ("top_logprobs", {"logprobs": True, "top_logprobs": 21}),
        ("n", {"n": 0}),
        ("tool_choice", {"tool_choice": "required"}),
        ("messages[0].role", {"messages": [{"role": "wizard", "content": "hi"}]}),
        ("logit_bias", {"logit_bias": {"x": 1}}),
        ("stream_options", {"stream_options": {"include_usage": True}}),
    ],
)
def test_a_wrong_field_is_a_bad_request_error_that_names_it(client, field, wrong):
    body = {"model": CHAT, "messages": [{"role": "user", "content": "hi"}], "max_completion_tokens": 2} | wrong
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(**body)
    assert raised.value.param == field
    assert raised.value.type == "invalid_request_error"


def test_a_schema_that_cannot_be_honoured_is_refused_and_never_ignored(client, say):
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "no-such-type"}}}
    with pytest.raises(openai.BadRequestError):
        say(response_format=form)
    with pytest.raises(openai.BadRequestError):
        say(extra_body={"guided_regex": "(unclosed"})


def test_a_prompt_longer_than_the_context_is_refused_with_the_code_that_clients_know(say):
    with pytest.raises(openai.BadRequestError) as raised:
        say("word " * 9000)
    assert raised.value.code == "context_length_exceeded"


def test_a_stream_that_is_closed_early_stops_the_work_and_the_server_goes_on(client, say):
    def running():
        with urllib.request.urlopen(f"{URL}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("candor_batch_requests"))

    stream = say("Tell me a very long story.", max_completion_tokens=4000, stream=True, extra_body={"ignore_eos": True})
    for _, chunk in zip(range(5), stream):
        assert chunk
    assert running() == 1
    stream.close()
    start = time.monotonic()
    while running():
        assert time.monotonic() - start < 10, "the closed stream still takes the machine"
        time.sleep(0.05)
    assert say().choices[0].message.content


def test_eight_streams_at_once_each_say_what_they_say_alone():
    questions = [f"Name something that begins with the letter {letter}." for letter in "ABCDEFGH"]

    async def ask(client, question, stream):
        settings = {"model": CHAT, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_completion_tokens": 16}
        if not stream:
            return (await client.chat.completions.create(**settings)).choices[0].message.content
        text = ""
        async for chunk in await client.chat.completions.create(stream=True, **settings):
            text += chunk.choices[0].delta.content or ""
        return text

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0) as client:
            together = await asyncio.gather(*(ask(client, question, True) for question in questions))
            alone = [await ask(client, question, False) for question in questions]
            return together, alone

    together, alone = asyncio.run(all_of_them())
    assert together == alone and all(alone)
