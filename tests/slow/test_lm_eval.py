"""EleutherAI's lm-eval through `local-completions`: its score is the one that the f32 reference has.

The task is perplexity of windows of a book, of which `../shared/golden` holds the reference's values window by window.
lm-eval finds /tokenizer_info by itself and takes Candor's own /tokenize as its tokenizer.
"""
import json
import os
import subprocess
import sys

import openai
import pytest
from conftest import CHAT, TESTS
from servers import Candor

WINDOW, SCORED_FROM = 512, 256


@pytest.fixture(scope="module")
def server(tmp_path_factory, request):
    """One model, so that a tokenizer that names none finds it."""
    with Candor(tmp_path_factory.mktemp("data"), models=[CHAT], arguments=request.param) as server:
        yield server


def windows(server, golden):
    """The windows whose text is cut at token borders, and the reference's mean nats per scored token."""
    client = openai.OpenAI(base_url=server.url, api_key="none")
    tokenize = lambda text: client.post("/tokenize", body={"prompt": text, "add_special_tokens": False}, cast_to=object)["tokens"]
    text_of = lambda ids: client.post("/detokenize", body={"tokens": ids}, cast_to=object)["prompt"]
    told = json.loads((golden / "perplexity.json").read_text())["models"]["smollm2"]["en"]
    ids = tokenize((golden / "ppl_en.txt").read_text(encoding="utf-8"))
    assert len(ids) == told["tokens"] and (told["window"], told["scored_from"]) == (WINDOW, SCORED_FROM)
    kept = []
    for number, reference in enumerate(told["ref_nll_per_window"]):
        window = ids[number * WINDOW :][:WINDOW]
        context, whole = text_of(window[: SCORED_FROM + 1]), text_of(window)
        if tokenize(context) == window[: SCORED_FROM + 1] and tokenize(whole) == window and not context[-1].isspace():
            document = {"context": context, "continuation": whole[len(context) :], "tokens": WINDOW - SCORED_FROM - 1}
            kept.append((document, reference, told["llamacpp_nll_per_window"][number]))
    return kept


@pytest.mark.parametrize(
    ("server", "nearness"),
    [(("--precision", "f32", "--kv", "f32"), 1e-4), ((), None)],
    indirect=["server"],
    ids=["in f32 to four decimals", "quantized nearer than llama.cpp"],
)
def test_lm_evals_score_is_that_of_the_reference(server, nearness, golden, tmp_path):
    kept = windows(server, golden)
    assert len(kept) >= 12, f"only {len(kept)} windows are cut at token borders"
    task = (TESTS / "slow" / "lm_eval_tasks" / "windows.yaml").read_text()
    documents = tmp_path / "windows.jsonl"
    documents.write_text("".join(json.dumps(document) + "\n" for document, *_ in kept))
    (tmp_path / "windows.yaml").write_text(task.replace("DATA_FILES", json.dumps({"train": str(documents)})))
    (tmp_path / "windows.py").write_text((TESTS / "slow" / "lm_eval_tasks" / "windows.py").read_text())
    command = [
        sys.executable, "-m", "lm_eval", "run", "--model", "local-completions", "--tasks", "candor_windows", "--include_path", str(tmp_path),
        "--model_args", f"model={CHAT},base_url={server.url}/v1/completions,num_concurrent=2,max_length=1024",
        "--output_path", str(tmp_path / "out"), "--log_samples",
    ]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(command, env={**os.environ, **offline}, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    report = json.loads(next((tmp_path / "out").rglob("results_*.json")).read_text())
    score = report["results"]["candor_windows"]["nll,none"]
    reference = sum(value for _, value, _ in kept) / len(kept)
    peer = sum(value for *_, value in kept) / len(kept)
    print(f"lm-eval {score:.6f}, reference {reference:.6f}, llama.cpp {peer:.6f}, {len(kept)} windows")
    assert abs(score - reference) < (nearness or abs(peer - reference))
