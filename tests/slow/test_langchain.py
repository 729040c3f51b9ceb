"""LangChain's OpenAI package against the real server."""
import asyncio

import pytest
from conftest import CHAT, EMBED, URL
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field

QUESTION = "What is the capital of France?"


def model(**more):
    settings = {"temperature": 0, "max_tokens": 60, "max_retries": 0} | more
    return ChatOpenAI(model=CHAT, base_url=f"{URL}/v1", api_key="none", **settings)


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


class Person(BaseModel):
    """A person."""

    name: str = Field(max_length=20)
    age: int = Field(ge=0, le=120)


def test_a_chat_is_answered_with_its_usage():
    answer = model().invoke([SystemMessage("Be brief."), HumanMessage(QUESTION)])
    assert "Paris" in answer.text
    assert answer.usage_metadata["total_tokens"] > 0


def test_a_stream_adds_up_to_the_answer():
    pieces = [chunk.text for chunk in model(stream_usage=True).stream(QUESTION)]
    assert len(pieces) > 3 and "".join(pieces) == model().invoke(QUESTION).text


def test_a_bound_tool_is_called():
    bound = model().bind_tools([get_weather], tool_choice="get_weather")
    call = bound.invoke("Weather in Paris?").tool_calls[0]
    assert call["name"] == "get_weather" and isinstance(call["args"]["city"], str)
    assert get_weather.invoke(call).content.startswith("sunny")


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_is_an_object_of_its_class(method):
    # Not strict, a schema lets further properties in, and a small model goes on adding them.
    asked = model(max_tokens=200).with_structured_output(Person, method=method, strict=True)
    person = asked.invoke("Describe a person.")
    assert isinstance(person, Person)


def test_the_responses_api_works_too():
    answer = model(use_responses_api=True).invoke(QUESTION)
    assert "Paris" in answer.text


def test_several_questions_run_at_once():
    answers = asyncio.run(model(max_tokens=8).abatch([QUESTION] * 4))
    assert len({answer.text for answer in answers}) == 1


def test_plain_completion_and_embeddings_work():
    plain = OpenAI(model=CHAT, base_url=f"{URL}/v1", api_key="none", temperature=0, max_tokens=8)
    assert "Paris" in plain.invoke("The capital of France is")
    # Other tokenizers are not asked: the text itself is sent.
    vectors = OpenAIEmbeddings(model=EMBED, base_url=f"{URL}/v1", api_key="none", check_embedding_ctx_length=False)
    assert [len(vector) for vector in vectors.embed_documents(["a", "b"])] == [384, 384]
