#!/usr/bin/env python3
"""What four people who read a stream notice of somebody who asks for too much.

    python3 runs/load/beside.py --rounds 3
    python3 runs/load/beside.py --only long-prompt slow-readers

Each round times four ordinary streams alone, and then beside each hostile load, which begins before them and is kept up
until they end. Rates are tokens per second of the four together, gaps the time between two events of a stream; `first` is
the slowest of their first tokens. The share that a load of k running answers would leave to four, if all were ordinary, is
4 / (4 + k); a load that computes nothing should leave everything. Client and server share the machine's processors, so
what a client does for its load (a body of 30 MB, a thousand connections) counts against the server.
"""
import argparse
import asyncio
import contextlib
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))
import process  # noqa: E402
from client import ask, connect, head  # noqa: E402
from mix import WORDS  # noqa: E402
from servers import CHAT, Candor  # noqa: E402

CHAT_PATH, TEXT_PATH = "/v1/chat/completions", "/v1/completions"


def nested(depth):
    schema = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema, "b": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}}}}
    return schema


class Loads:
    """Each method is a hostile load: one client of it, again and again until it is cancelled."""

    def __init__(self, url, model, seed):
        self.url, self.model, self.draw = url, model, random.Random(seed)
        self.said = {}

    async def post(self, path, body, **how):
        try:
            answer = await ask(self.url, path, {"model": self.model, **body} if isinstance(body, dict) else body, **how)
            self.said[answer.status] = self.said.get(answer.status, 0) + 1
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.said[type(error).__name__] = self.said.get(type(error).__name__, 0) + 1
            await asyncio.sleep(0.05)

    def held(self, constraint, tokens=400):
        return {"prompt": "Write: ", "max_tokens": tokens, "seed": self.draw.randrange(1 << 30), "ignore_eos": True, **constraint}

    async def one_more_stream(self):
        """For comparison: an ordinary fifth."""
        await self.post(TEXT_PATH, self.held({}))

    async def long_prompt(self):
        await self.post(TEXT_PATH, {"prompt": " ".join(self.draw.choices(WORDS, k=7900)), "max_tokens": 1})

    async def long_regex(self):
        await self.post(TEXT_PATH, self.held({"structured_outputs": {"regex": "[a-z]{1,1000}"}}))

    async def ambiguous_regex(self):
        await self.post(TEXT_PATH, self.held({"structured_outputs": {"regex": "((a|b|[a-z]{1,60})*( |-)?){1,60}[a-z .,]{1,800}"}}))

    async def ambiguous_grammar(self):
        grammar = 'start: e+\ne: e e | "(" e ")" | W | W " " e\nW: /[a-z ]{1,30}/'
        await self.post(TEXT_PATH, self.held({"structured_outputs": {"grammar": grammar}}))

    async def deep_schema(self):
        form = {"type": "json_schema", "json_schema": {"name": "deep", "schema": nested(14)}}
        await self.post(CHAT_PATH, {"messages": [{"role": "user", "content": "JSON"}], "max_tokens": 300, "response_format": form})

    async def compiles_forever(self):
        await self.post(TEXT_PATH, self.held({"structured_outputs": {"regex": f"(([a-z]{{1,300}}[0-9]{{1,{self.draw.randint(300, 400)}}}){{1,40}}|.*x.{{200}})"}}, 2))

    async def n_most(self):
        await self.post(TEXT_PATH, self.held({"n": 128}, 64))

    async def logprobs_most(self):
        await self.post(CHAT_PATH, {"messages": [{"role": "user", "content": "Tell me"}], "max_tokens": 300, "ignore_eos": True, "logprobs": True, "top_logprobs": 20})

    async def prompt_logprobs(self):
        await self.post(TEXT_PATH, {"prompt": " ".join(self.draw.choices(WORDS, k=3000)), "echo": True, "logprobs": 5, "max_tokens": 1})

    async def body_of_30_mb(self):
        await self.post(TEXT_PATH, b'{"model": "%s", "prompt": "%s"}' % (self.model.encode(), b"word " * 6_000_000))

    async def many_stops(self):
        await self.post(TEXT_PATH, self.held({"stop": [f"stop {number} {'x' * 100}" for number in range(5000)]}))

    async def most_stops(self):
        await self.post(TEXT_PATH, self.held({"stop": [f"a{'b' * 1000}{number}" for number in range(16)]}))

    async def bias_of_4096(self):
        await self.post(TEXT_PATH, self.held({"logit_bias": {str(self.draw.randrange(49000)): 1 for _ in range(4096)}, "repetition_penalty": 1.1, "dry_multiplier": 0.8}))

    async def slow_reader(self):
        """Reads a byte a second."""
        payload = json.dumps({"model": self.model, **self.held({"stream": True})}).encode()
        reader, writer = await connect(self.url)
        try:
            writer.write(head("POST", self.url, TEXT_PATH, len(payload)) + payload)
            while True:
                await reader.read(1)
                await asyncio.sleep(1)
        finally:
            writer.close()

    async def idle_connection(self):
        """Opens a connection and asks nothing; when it is closed, another."""
        reader, writer = await connect(self.url)
        try:
            with contextlib.suppress(OSError):
                await reader.read()
            self.said["closed"] = self.said.get("closed", 0) + 1
        finally:
            writer.close()


# Name in the table: load, clients of it at once, seconds that it runs ahead.
CASES = {
    "one-more-stream": ("one_more_stream", 1, 0.3),
    "long-prompt": ("long_prompt", 1, 0.3),
    "long-prompts-of-4": ("long_prompt", 4, 0.3),
    "long-regex": ("long_regex", 1, 0.5),
    "ambiguous-regex": ("ambiguous_regex", 1, 0.5),
    "ambiguous-grammar": ("ambiguous_grammar", 1, 0.5),
    "deep-schema": ("deep_schema", 1, 0.5),
    "compiles-forever": ("compiles_forever", 1, 0.5),
    "n-128": ("n_most", 1, 0.3),
    "logprobs-20": ("logprobs_most", 1, 0.3),
    "prompt-logprobs": ("prompt_logprobs", 1, 0.3),
    "body-of-30-mb": ("body_of_30_mb", 1, 0.3),
    "5000-stops": ("many_stops", 1, 0.3),
    "16-long-stops": ("most_stops", 1, 0.3),
    "bias-of-4096": ("bias_of_4096", 1, 0.3),
    "slow-readers-8": ("slow_reader", 8, 2),
    "connections-900": ("idle_connection", 900, 2),
    "connections-3000": ("idle_connection", 3000, 4),
}


async def again(load):
    while True:
        await load()


async def four(url, model, tokens):
    """Rate, gaps and the slowest first token of four ordinary streams."""
    async def one(number):
        body = {"model": model, "messages": [{"role": "user", "content": f"Tell a story of {WORDS[number]} and {WORDS[number + 9]}."}], "max_tokens": tokens,
                "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}, "seed": number}
        answer = await ask(url, CHAT_PATH, body)
        if answer.status != 200:
            raise SystemExit(f"an ordinary stream was answered with HTTP {answer.status}: {answer.body[:200]!r}")
        return answer

    begin = time.perf_counter()
    answers = await asyncio.gather(*(one(number) for number in range(4)))
    took = time.perf_counter() - begin
    times = [answer.text_times() for answer in answers]
    gaps = sorted(after - before for own in times for before, after in zip(own, own[1:]))
    return {"rate": 4 * tokens / took, "median": statistics.median(gaps), "p99": gaps[int(len(gaps) * 0.99)], "most": gaps[-1],
            "first": max(own[0] - answer.sent for own, answer in zip(times, answers))}


async def beside(server, options, name):
    load, clients, ahead = CASES[name]
    loads = Loads(server.url, options.model, options.seed)
    tasks = [asyncio.create_task(again(getattr(loads, load))) for _ in range(clients)]
    await asyncio.sleep(ahead)
    try:
        result = await four(server.url, options.model, options.tokens)
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
    result["said"] = loads.said
    return result


async def settle(server):
    while sum(value for key, value in server.metrics().items() if key.startswith(("candor_batch_requests", "candor_queue_requests"))):
        await asyncio.sleep(0.1)


async def measure(server, options):
    await four(server.url, options.model, 16)
    runs = {}
    for _ in range(options.rounds):
        for name in ["alone", *options.only]:
            await settle(server)
            run = await (four(server.url, options.model, options.tokens) if name == "alone" else beside(server, options, name))
            run["rss"] = process.memory(server.process.pid)["rss"]
            runs.setdefault(name, []).append(run)
            print(f"{name}: {run['rate']:.0f} tokens/s, longest gap {run['most']:.2f} s, {run.get('said', '')}", file=sys.stderr, flush=True)
    alone = statistics.median(run["rate"] for run in runs["alone"])
    print("| beside | tokens/s of four | of alone | gap, median ms | p99 | longest | first token ms | RSS MiB | the load was answered |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    for name, own in runs.items():
        of = lambda key: statistics.median(run[key] for run in own)
        said = ", ".join(f"{status}: {count}" for status, count in own[-1].get("said", {}).items())
        ms = " | ".join(f"{1000 * value:.0f}" for value in (of("median"), of("p99"), max(run["most"] for run in own), of("first")))
        print(f"| {name} | {of('rate'):.0f} | {of('rate') / alone:.2f} | {ms} | {own[-1]['rss'] >> 20} | {said} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=CHAT)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data, Candor(data, models=(options.model,)) as server:
        asyncio.run(measure(server, options))


if __name__ == "__main__":
    main()
