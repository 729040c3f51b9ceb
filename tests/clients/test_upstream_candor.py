"""Candor behind Candor: two replicas with a key, and one in front that passes the official client's requests on."""
import sys
import time
from pathlib import Path

import openai
import pytest
from conftest import CHAT, EMBED

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from servers import Candor  # noqa: E402

KEY = "not-a-secret-anywhere-else"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def configuration(replicas):
    return f"""
[[upstream]]
name = "cluster"
kind = "candor"
replicas = {[replica.url for replica in replicas]}
key_env = "CLUSTER_KEY"
retries = 2
models = [
    {{ id = "{CHAT}", alias = "far" }},
    {{ id = "{EMBED}", alias = "far-vectors", task = "embed" }},
]
""".replace("'", '"')


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def replicas(data):
    with Candor(data / "a", env={"CANDOR_API_KEY": KEY}) as first, Candor(data / "b", env={"CANDOR_API_KEY": KEY}) as second:
        yield [first, second]


@pytest.fixture(scope="module")
def front(data, replicas):
    with Candor(data / "front", models=[CHAT], config=configuration(replicas), env={"CLUSTER_KEY": KEY}) as server:
        yield server


@pytest.fixture(scope="module")
def far(front):
    with openai.OpenAI(base_url=f"{front.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


def ask(client, model="far", **more):
    settings = {"temperature": 0, "max_completion_tokens": 24} | more
    return client.chat.completions.create(model=model, messages=QUESTION, **settings)


def running(server):
    request = openai.OpenAI(base_url=server.url, api_key=KEY, max_retries=0)
    text = request.get("/metrics", cast_to=str)
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("candor_batch_requests"))


def test_the_replicas_let_nobody_in_without_the_key(replicas):
    client = openai.OpenAI(base_url=f"{replicas[0].url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        client.models.list()


def test_the_alias_is_listed_and_answers_as_the_model_itself(far):
    assert {"far", "far-vectors", CHAT} <= {model.id for model in far.models.list()}
    there, here = ask(far), ask(far, CHAT)
    assert there.model == "far"
    assert there.choices[0].message.content == here.choices[0].message.content
    assert (there.usage.prompt_tokens, there.usage.completion_tokens) == (here.usage.prompt_tokens, here.usage.completion_tokens)


def test_metrics_know_the_models_that_were_loaded_before_the_first_request(front):
    metrics = front.metrics()
    assert metrics["candor_models_loaded"] == 3  # the local one, and the upstream's two
    assert metrics[f'candor_preemptions_total{{model="{CHAT}"}}'] == 0
    assert [value for name, value in metrics.items() if name.startswith("candor_upstream_replica_up")] == [1, 1]


def test_a_stream_passes_through_piece_by_piece_with_its_usage(far):
    chunks = list(ask(far, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == ask(far, CHAT).choices[0].message.content
    assert len(chunks) > 4 and chunks[-1].usage.completion_tokens > 0


def test_scores_constraints_embeddings_and_responses_pass_through(far):
    scored = [far.completions.create(model=m, prompt="One two three", echo=True, logprobs=2, max_tokens=1, temperature=0) for m in ("far", CHAT)]
    assert scored[0].choices[0].logprobs.token_logprobs == scored[1].choices[0].logprobs.token_logprobs
    assert ask(far, extra_body={"guided_choice": ["teal"]}).choices[0].message.content == "teal"
    assert len(far.embeddings.create(model="far-vectors", input="hello").data[0].embedding) == 384
    assert "Paris" in far.responses.create(model="far", input=QUESTION[0]["content"], temperature=0, max_output_tokens=24).output_text


def test_what_a_replica_refuses_is_refused_here_with_its_sentence(far):
    with pytest.raises(openai.BadRequestError) as raised:
        ask(far, extra_body={"guided_regex": "(unclosed"})
    assert KEY not in str(raised.value)


def test_a_client_that_goes_away_stops_the_work_on_the_replica(far, replicas):
    stream = ask(far, stream=True, max_completion_tokens=4000, extra_body={"ignore_eos": True})
    for _, _chunk in zip(range(5), stream):
        pass
    assert sum(map(running, replicas)) == 1
    stream.close()
    start = time.monotonic()
    while sum(map(running, replicas)):
        assert time.monotonic() - start < 10, "the replica goes on for nobody"
        time.sleep(0.05)


def test_when_a_replica_dies_in_a_stream_it_ends_with_an_error_and_the_next_request_succeeds(front, far, replicas):
    stream = ask(far, stream=True, max_completion_tokens=4000, extra_body={"ignore_eos": True})
    for _, _chunk in zip(range(5), stream):
        pass
    busy = next(replica for replica in replicas if running(replica))
    busy.kill()
    with pytest.raises(openai.APIError):
        for _chunk in stream:
            pass
    # The dead one is still the favourite of this conversation: its requests move to the other.
    assert "Paris" in ask(far).choices[0].message.content
    metrics = front.metrics()
    up = [value for name, value in metrics.items() if name.startswith("candor_upstream_replica_up")]
    assert sorted(up) == [0, 1]
    assert any(name.startswith("candor_upstream_requests_total") and 'outcome="finished"' in name for name in metrics)
    assert any(name.startswith("candor_upstream_tokens_total") for name in metrics)
