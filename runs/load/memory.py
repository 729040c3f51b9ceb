#!/usr/bin/env python3
"""What a server keeps in memory: the model's file, keys and values, and the rest, which should stay below 150 MB.

    python3 runs/load/memory.py
    python3 runs/load/memory.py --model gemma-3-270m-q4_k_m.gguf --long 32000

First sixteen clients at once, twice, and then with `--long` one prompt of that many tokens with a needle in its middle: how
long it takes, what it costs, and how fast the answer is written after it. Keys and values are those in use (by
/metrics), which is what the system has handed out as long as no page was used twice. The rest is what is
resident beyond file and pages; the peak is the system's, loading included.
"""
import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))
import process  # noqa: E402
from client import ask  # noqa: E402
from mix import WORDS  # noqa: E402
from servers import CHAT, Candor, model_file  # noqa: E402

NEEDLE = " The secret word of the harbour is marmalade."


class Memory:
    def __init__(self, server, path):
        self.server, self.file = server, Path(path).stat().st_size
        print("| when | resident MB | file | keys and values | rest | peak |\n| --- | ---: | ---: | ---: | ---: | ---: |")

    def row(self, when):
        now = process.memory(self.server.process.pid)
        kv = sum(value for key, value in self.server.metrics().items() if key.startswith("candor_kv_bytes_used"))
        parts = (now["rss"], self.file, kv, now["rss"] - self.file - kv, now["peak"])
        print(f"| {when} | " + " | ".join(f"{part / 1e6:.0f}" for part in parts) + " |", flush=True)


async def sixteen(url, model, seed):
    async def one(number):
        text = " ".join(random.Random(seed + number).choices(WORDS, k=180))
        answer = await ask(url, "/v1/completions", {"model": model, "prompt": text, "max_tokens": 128, "ignore_eos": True})
        assert answer.status == 200, answer.body[:300]

    await asyncio.gather(*(one(number) for number in range(16)))


async def long(url, model, tokens):
    """A prompt of about so many tokens, each word one, and an answer after it; what the server counted, and the times."""
    draw = random.Random(5)
    words = draw.choices(WORDS, k=tokens - 60)
    middle = len(words) // 2
    text = " ".join(words[:middle]) + NEEDLE + " " + " ".join(words[middle:]) + " What is the secret word of the harbour? The secret word is"
    body = {"model": model, "prompt": text, "max_tokens": 64, "temperature": 0, "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}}
    answer = await ask(url, "/v1/completions", body, wait_s=3000)
    assert answer.status == 200, answer.body[:300]
    times, usage = answer.text_times(), answer.usage()
    said = "".join(choice["text"] for _, chunk in answer.chunks() for choice in chunk["choices"])
    first, rest = times[0] - answer.sent, times[-1] - times[0]
    print(f"\n{usage['prompt_tokens']} tokens of prompt in {first:.1f} s ({usage['prompt_tokens'] / first:.0f} tokens/s), "
          f"{usage['completion_tokens']} of answer after it at {(len(times) - 1) / rest:.1f} tokens/s; it said {said[:80]!r}\n", flush=True)


async def measure(server, model, path, options):
    memory = Memory(server, path)
    memory.row("ready")
    for number in range(2):
        await sixteen(server.url, model, 100 * number)
        memory.row("after 16 clients" if number == 0 else "after 16 more")
    if options.long:
        await long(server.url, model, options.long)
        memory.row(f"after a prompt of {options.long}")
    await asyncio.sleep(12)  # what was freed goes back after ten seconds without a request
    memory.row("idle")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=CHAT, help="a name, or a GGUF file")
    parser.add_argument("--long", type=int, help="tokens of one long prompt")
    options = parser.parse_args()
    path = options.model if Path(options.model).is_file() else str(model_file(options.model, ".gguf"))
    # No other model may be found, or an embedder would be loaded for the search in documents.
    with tempfile.TemporaryDirectory() as data, Candor(data, models=(path,), env={"CANDOR_MODELS": f"{data}/models"}) as server:
        async def run():
            answer = await ask(server.url, "/v1/models")
            await measure(server, answer.json()["data"][0]["id"], path, options)

        asyncio.run(run())


if __name__ == "__main__":
    main()
