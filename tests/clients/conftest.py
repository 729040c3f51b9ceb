"""What the tests share: where the server is, what its models are called, a client for it."""
import os

import openai
import pytest

URL = os.environ["CANDOR_URL"]
CHAT = os.environ["CANDOR_CHAT_MODEL"]
EMBED = os.environ["CANDOR_EMBED_MODEL"]


@pytest.fixture(scope="session")
def client():
    """The official client, as its documentation says; no retries, so that every refusal is seen."""
    with openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0, timeout=120) as client:
        yield client


@pytest.fixture
def say(client):
    """Asks one short question in a chat; greedy, unless the test wants something else."""

    def say(text="Name a colour.", **more):
        settings = {"temperature": 0, "max_completion_tokens": 12} | more
        return client.chat.completions.create(model=CHAT, messages=[{"role": "user", "content": text}], **settings)

    return say
