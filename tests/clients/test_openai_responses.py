"""`/v1/responses` with the official OpenAI client for Python."""
import json

import jsonschema
import openai
import pytest
from conftest import CHAT

TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 30}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


def respond(client, input="What is the capital of France?", **more):
    return client.responses.create(model=CHAT, input=input, **({"temperature": 0, "max_output_tokens": 24} | more))


def test_a_text_is_answered_and_counted(client):
    answer = respond(client)
    assert "Paris" in answer.output_text
    assert (answer.status, answer.object) == ("completed", "response")
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_an_answer_that_is_cut_off_says_so(client):
    answer = respond(client, "Tell me a long story.", max_output_tokens=5)
    assert (answer.status, answer.incomplete_details.reason, answer.usage.output_tokens) == ("incomplete", "max_output_tokens", 5)


def test_streamed_events_come_in_order_and_add_up(client):
    whole = respond(client)
    events = list(respond(client, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert kinds[-4:] == ["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text == events[-1].response.output_text


def test_a_function_is_called_and_its_output_read(client):
    call = respond(client, "Weather in Paris?", tools=[TOOL], tool_choice="required", max_output_tokens=100).output[0]
    assert (call.type, call.name) == ("function_call", "get_weather")
    jsonschema.validate(json.loads(call.arguments), TOOL["parameters"])
    items = [
        {"role": "user", "content": "Weather in Paris?"},
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"},
    ]
    assert respond(client, items, tools=[TOOL], tool_choice="none").status in ("completed", "incomplete")


def test_text_fits_a_schema(client):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 99, "minimum": 0}}, "required": ["n"], "additionalProperties": False}
    form = {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}}
    jsonschema.validate(json.loads(respond(client, "A number.", text=form, max_output_tokens=60).output_text), schema)


def test_a_response_is_continued_fetched_listed_and_deleted(client):
    first = respond(client, "My name is Ada.")
    second = respond(client, "What did I say?", previous_response_id=first.id)
    alone = respond(client, "What did I say?")
    assert second.previous_response_id == first.id
    assert second.usage.input_tokens > alone.usage.input_tokens + first.usage.output_tokens
    fetched = client.responses.retrieve(second.id)
    assert fetched.output_text == second.output_text
    items = client.responses.input_items.list(second.id).data
    assert items[0].content[0].text == "What did I say?"
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.NotFoundError):
        respond(client, previous_response_id=first.id)


def test_what_is_not_stored_cannot_be_fetched(client):
    answer = respond(client, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)


def test_one_in_the_background_can_be_waited_for_and_cancelled(client):
    answer = respond(client, "Tell me a long story.", background=True, max_output_tokens=4000)
    assert answer.status in ("queued", "in_progress")
    assert client.responses.cancel(answer.id).status == "cancelled"
    assert client.responses.retrieve(answer.id).status == "cancelled"


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("tools[0].type", {"tools": [{"type": "web_search"}]}),
        ("truncation", {"truncation": "auto"}),
        ("reasoning.effort", {"reasoning": {"effort": "high"}}),
    ],
)
def test_what_is_not_here_is_refused_by_name(client, field, wrong):
    with pytest.raises(openai.BadRequestError) as raised:
        respond(client, **wrong)
    assert raised.value.param == field
