"""The `candor` field of chat completions and responses with the official OpenAI client for Python: quotes, abstentions, receipts."""
import json
import time

import openai
import pytest
from conftest import CHAT

LIGHTHOUSE = """The lighthouse of Alexandria was built in the third century before our era. It stood on the island of Pharos.
Sailors saw its fire from fifty kilometres away. An earthquake brought it down in the fourteenth century.
"""
MILL = """Die Mühle – the old mill near Lindau has seven rooms and a cellar. Its wheel is made of oak. 水车用橡木制成。
"""
QUESTION = "On which island did the lighthouse of Alexandria stand?"


@pytest.fixture(scope="module")
def store(client):
    store = client.vector_stores.create(name="candor")
    files = []
    for name, text in [("lighthouse.txt", LIGHTHOUSE), ("mill.txt", MILL)]:
        file = client.files.create(file=(name, text.encode()), purpose="assistants")
        client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
        files.append(file.id)
    yield store
    client.vector_stores.delete(store.id)
    for id in files:
        client.files.delete(id)


def ask(client, text, store, dial=None, before=(), **more):
    messages = [*before, {"role": "user", "content": text}]
    sources = [store.id] if store else []
    return client.chat.completions.create(model=CHAT, messages=messages, extra_body={"candor": {"dial": dial, "sources": sources}}, **more)


def text_of(client, id):
    return client.get(f"/files/{id}/text", cast_to=openai._legacy_response.HttpxBinaryResponseContent).content


def test_an_answer_is_made_of_quotes_that_equal_the_files_bytes(client, store):
    answer = ask(client, QUESTION, store)
    candor = answer.candor
    content = answer.choices[0].message.content
    assert candor["outcome"] == "answered" and candor["dial"] is None and 0 <= candor["confidence"] <= 1
    assert "Pharos" in candor["sentences"][0]["text"] and "Pharos" in content
    assert len(candor["short"].split()) <= 15
    for sentence in candor["sentences"]:
        assert content[sentence["start"]:sentence["end"]] == sentence["text"]
        assert sentence["mark"] in ("quoted", "supported", "memory", "disputed") and sentence["citations"]
        for citation in sentence["citations"]:
            assert text_of(client, citation["file_id"])[citation["start"]:citation["end"]].decode() == citation["quote"]
    first = answer.choices[0].message.annotations[0]
    assert first.type == "url_citation" and content[first.url_citation.start_index:first.url_citation.end_index] == candor["sentences"][0]["text"]
    assert first.url_citation.title == "lighthouse.txt" and candor["sentences"][0]["citations"][0]["file_id"] in first.url_citation.url


def test_positions_count_characters_in_the_content_and_bytes_in_the_file(client, store):
    candor = ask(client, "How many rooms does the old mill near Lindau have?", store).candor
    citation = candor["sentences"][0]["citations"][0]
    assert "seven rooms" in citation["quote"] and citation["quote"].encode() == MILL.encode()[citation["start"]:citation["end"]]


def test_a_stream_says_the_same_sentence_by_sentence(client, store):
    whole = ask(client, QUESTION, store)
    chunks = list(ask(client, QUESTION, store, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    said = [chunk.candor for chunk in chunks if getattr(chunk, "candor", None)]
    assert len(said) == 1 and said[0]["sentences"] == whole.candor["sentences"]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop" and chunks[-1].usage


def test_what_the_sources_do_not_say_is_an_abstention_that_helps(client, store):
    answer = ask(client, "What is the boiling point of mercury?", store, dial=0.1)
    assert answer.candor["outcome"] == "abstained" and answer.candor["short"] is None and not answer.candor["sentences"]
    assert answer.candor["advice"] == answer.choices[0].message.content and "source" in answer.candor["advice"]


def test_a_question_may_refer_to_the_one_before_it(client, store):
    before = [{"role": "user", "content": "Who saw the fire of the lighthouse of Alexandria?"}, {"role": "assistant", "content": "Sailors."}]
    answer = ask(client, "And on which island did it stand?", store, before=before)
    assert "Pharos" in answer.choices[0].message.content


def test_without_sources_the_answer_is_memory_and_says_so(client):
    answer = ask(client, "What is the capital of France?", None, temperature=0)
    assert answer.candor["outcome"] == "answered" and all(one["mark"] == "memory" and not one["citations"] for one in answer.candor["sentences"])
    content = answer.choices[0].message.content
    assert all(content[one["start"]:one["end"]] == one["text"] for one in answer.candor["sentences"])
    sure = ask(client, "What is the name of my neighbour's dog?", None, dial=0.01, temperature=0)
    assert sure.candor["outcome"] == "abstained" and sure.candor["advice"]


def test_a_receipt_can_be_had_and_emptied(client, store):
    id = ask(client, QUESTION, store).candor["receipt"]
    receipt = client.get(f"/receipts/{id}", cast_to=object)
    body = json.loads(receipt["body"])
    assert body["question"] == QUESTION and body["sentences"][0]["mark"] == "quoted" and body["made_by"]["model"]["name"] == CHAT
    assert client.delete(f"/receipts/{id}", cast_to=object)["deleted"]
    assert client.get(f"/receipts/{id}", cast_to=object)["body"] is None
    with pytest.raises(openai.NotFoundError):
        client.get("/receipts/rcpt-none", cast_to=object)


@pytest.mark.parametrize("candor, says", [
    ({"dial": 2}, "candor.dial"),
    ({"dial": 0}, "candor.dial"),
    ({"dial": "low"}, "dial"),
    ({"sources": ["vs_none"]}, "vs_none"),
    ({"sources": "all"}, "sources"),
])
def test_what_cannot_be_honoured_is_refused_by_name(client, candor, says):
    with pytest.raises(openai.BadRequestError, match=says):
        client.chat.completions.create(model=CHAT, messages=[{"role": "user", "content": "x"}], extra_body={"candor": candor})


def test_tools_and_schemas_cannot_be_had_together_with_quotes(client, store):
    with pytest.raises(openai.BadRequestError, match="candor"):
        ask(client, QUESTION, store, n=2)
    with pytest.raises(openai.BadRequestError, match="candor"):
        ask(client, QUESTION, store, response_format={"type": "json_object"})
    with pytest.raises(openai.BadRequestError, match="question"):
        client.chat.completions.create(model=CHAT, messages=[{"role": "user", "content": " "}], extra_body={"candor": {}})


def respond(client, text, store, dial=None, **more):
    sources = [store.id] if store else []
    return client.responses.create(model=CHAT, input=text, extra_body={"candor": {"dial": dial, "sources": sources}}, **more)


def test_a_response_is_made_of_quotes_with_citations_of_their_files(client, store):
    answer = respond(client, QUESTION, store)
    assert answer.status == "completed" and "Pharos" in answer.output_text
    sentence = answer.candor["sentences"][0]
    assert answer.output_text[sentence["start"]:sentence["end"]] == sentence["text"] and sentence["mark"] == "quoted"
    citation = answer.output[0].content[0].annotations[0]
    assert (citation.type, citation.filename, citation.index) == ("file_citation", "lighthouse.txt", sentence["end"])
    assert text_of(client, citation.file_id)[citation.start:citation.end].decode() == sentence["text"]
    whole = ask(client, QUESTION, store).candor
    assert {**answer.candor, "receipt": None} == {**whole, "receipt": None} and answer.candor["receipt"] != whole["receipt"]
    assert client.responses.retrieve(answer.id).model_dump() == answer.model_dump()


def test_a_streamed_response_says_the_same(client, store):
    whole = respond(client, QUESTION, store)
    events = list(respond(client, QUESTION, store, stream=True))
    assert [events[0].type, events[1].type, events[-1].type] == ["response.created", "response.in_progress", "response.completed"]
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == whole.output_text
    marks = [event.annotation for event in events if event.type == "response.output_text.annotation.added"]
    assert [mark["filename"] if isinstance(mark, dict) else mark.filename for mark in marks] == ["lighthouse.txt"]
    last = events[-1].response
    assert last.candor["sentences"] == whole.candor["sentences"] and last.output_text == whole.output_text


def test_a_response_in_the_background_or_from_memory_or_none_says_so(client, store):
    later = respond(client, QUESTION, store, background=True)
    for _ in range(100):
        if later.status not in ("queued", "in_progress"):
            break
        time.sleep(0.1)
        later = client.responses.retrieve(later.id)
    assert later.status == "completed" and later.candor["outcome"] == "answered"
    memory = respond(client, "What is the capital of France?", None, temperature=0, max_output_tokens=40)
    assert all(one["mark"] == "memory" for one in memory.candor["sentences"]) and not memory.output[0].content[0].annotations
    none = respond(client, "What is the boiling point of mercury?", store, dial=0.1)
    assert none.candor["outcome"] == "abstained" and none.output_text == none.candor["advice"]


def test_a_response_may_refer_to_the_one_before_and_no_model_is_sent_its_quotes(client, store):
    first = respond(client, "Who saw the fire of the lighthouse of Alexandria?", store)
    second = respond(client, "And on which island did it stand?", store, previous_response_id=first.id)
    assert "Pharos" in second.output_text
    plain = {"model": CHAT, "input": "Say yes.", "temperature": 0, "max_output_tokens": 4}
    alone, after = client.responses.create(**plain), client.responses.create(**plain, previous_response_id=second.id)
    assert after.usage.input_tokens == alone.usage.input_tokens and after.output_text == alone.output_text


def test_a_kept_response_whose_source_is_gone_says_so(client):
    store = client.vector_stores.create(name="short-lived")
    file = client.files.create(file=("keeper.txt", b"The keeper of the light was called Ada Brandt. She had a dog."), purpose="assistants")
    client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
    answer = respond(client, "What was the keeper of the light called?", store)
    assert "Ada Brandt" in answer.output_text and "stale" not in answer.candor["sentences"][0]
    client.vector_stores.delete(store.id)
    client.files.delete(file.id)
    kept = client.responses.retrieve(answer.id).candor
    assert kept["sentences"][0]["stale"] is True and kept["short"] is None
    assert kept["sentences"][0]["citations"][0]["stale"] == "gone"


def test_responses_refuse_what_quotes_cannot_honour(client, store):
    function = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
    for more in [{"tools": [function]}, {"tools": [{"type": "file_search", "vector_store_ids": [store.id]}]}, {"top_logprobs": 2},
                 {"text": {"format": {"type": "json_object"}}}]:
        with pytest.raises(openai.BadRequestError, match="candor"):
            client.responses.create(model=CHAT, input=QUESTION, extra_body={"candor": {"sources": [store.id]}}, **more)
    for candor, says in [({"dial": 2}, "candor.dial"), ({"sources": ["vs_none"]}, "vs_none")]:
        with pytest.raises(openai.BadRequestError, match=says):
            client.responses.create(model=CHAT, input="x", extra_body={"candor": candor})
    with pytest.raises(openai.BadRequestError, match="question"):
        client.responses.create(model=CHAT, input=" ", extra_body={"candor": {}})
