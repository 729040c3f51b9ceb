"""llama-cpp-python's server behind Candor: two replicas of it, with a key."""
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import openai
import pytest
from conftest import CHAT
from servers import Candor, model_file, stop

KEY = "not-a-secret-anywhere-else"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


class LlamaCppPython:
    """`python -m llama_cpp.server` on a free port."""

    def __enter__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model_file(CHAT, ".gguf")), "--model_alias", "there",
                   "--host", "127.0.0.1", "--port", str(port), "--n_ctx", "2048", "--api_key", KEY,
                   # Else any further request, also a health check, cuts off the stream that is running.
                   "--interrupt_requests", "false"]  # fmt: skip
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            try:
                request = urllib.request.Request(f"{self.url}/v1/models", headers={"Authorization": f"Bearer {KEY}"})
                with urllib.request.urlopen(request, timeout=2):
                    return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.3)
        stop(self.process)
        raise RuntimeError("llama-cpp-python's server did not start")

    def alone(self):
        """A client of this replica, past Candor."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=KEY, max_retries=0, timeout=60)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __exit__(self, *_):
        if self.process.poll() is None:
            stop(self.process)


@pytest.fixture(scope="module")
def replicas():
    with LlamaCppPython() as first, LlamaCppPython() as second:
        yield [first, second]


@pytest.fixture(scope="module")
def front(tmp_path_factory, replicas):
    config = f"""
[[upstream]]
name = "peer"
kind = "llamacpp-python"
replicas = ["{replicas[0].url}", "{replicas[1].url}"]
key_env = "PEER_KEY"
retries = 2
models = [{{ id = "there", alias = "far", context = 2048 }}]
"""
    with Candor(tmp_path_factory.mktemp("front"), models=[CHAT], config=config, env={"PEER_KEY": KEY}) as server:
        yield server


@pytest.fixture(scope="module")
def far(front):
    return openai.OpenAI(base_url=f"{front.url}/v1", api_key="none", max_retries=0, timeout=120)


def ask(client, model="far", **more):
    settings = {"temperature": 0, "max_tokens": 24} | more
    return client.chat.completions.create(model=model, messages=QUESTION, **settings)


def finished(front, outcome):
    return sum(value for name, value in front.metrics().items() if "candor_upstream_requests_total" in name and f'outcome="{outcome}"' in name)


def test_the_key_comes_from_the_environment_and_the_alias_answers(front, far, replicas):
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{replicas[0].url}/v1", api_key="wrong", max_retries=0).chat.completions.create(model="there", messages=QUESTION)
    assert "far" in {model.id for model in far.models.list()}
    # Not its text: what nobody set is Candor's default and not the server's own, which draws a little differently.
    answer = ask(far)
    assert answer.model == "far" and answer.choices[0].message.content
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert finished(front, "finished") >= 1


def test_a_stream_says_the_same_piece_by_piece(far):
    chunks = list(ask(far, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == ask(far).choices[0].message.content
    assert len(chunks) > 4 and chunks[-1].usage.completion_tokens > 0


def test_plain_completions_and_responses_go_there_too(far):
    assert "Paris" in far.completions.create(model="far", prompt="The capital of France is", max_tokens=8, temperature=0).choices[0].text
    answer = far.responses.create(model="far", input=QUESTION[0]["content"], temperature=0, max_output_tokens=24)
    assert answer.output_text == ask(far).choices[0].message.content


def test_what_it_has_no_word_for_is_refused_and_never_left_out(far):
    for more in ({"typical_p": 0.5}, {"guided_regex": "[a-z]+"}, {"dry_multiplier": 1}):
        with pytest.raises(openai.BadRequestError):
            ask(far, extra_body=more)


def test_a_client_that_goes_away_closes_the_connection_there(front, far, replicas):
    before = finished(front, "cancelled")
    stream = ask(far, stream=True, max_tokens=1500, logit_bias={"2": -100, "0": -100})
    for _, _chunk in zip(range(5), stream):
        pass
    stream.close()
    start = time.monotonic()
    while finished(front, "cancelled") == before:
        assert time.monotonic() - start < 10, "the cancellation did not come through"
        time.sleep(0.05)
    # It works on one request at a time, and when it notices that nobody reads is its own affair: it must answer again.
    for replica in replicas:
        assert ask(replica.alone(), "there", max_tokens=2).choices


def test_when_a_replica_is_killed_the_next_requests_go_to_the_other(front, far, replicas):
    replicas[0].kill()
    for number in range(4):
        messages = [{"role": "user", "content": f"Question {number}: what is the capital of France?"}]
        assert far.chat.completions.create(model="far", messages=messages, max_tokens=4, temperature=0).choices
    up = [value for name, value in front.metrics().items() if name.startswith("candor_upstream_replica_up")]
    assert 1 in up
    replicas[1].kill()
    with pytest.raises(openai.InternalServerError) as raised:
        ask(far)
    assert raised.value.status_code == 503
    assert "Paris" in ask(far, CHAT).choices[0].message.content
