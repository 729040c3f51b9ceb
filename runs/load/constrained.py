#!/usr/bin/env python3
"""What a constraint costs: answers at once that are held to a JSON schema beside as many free ones of the same length.

    python3 runs/load/constrained.py --rounds 15
    python3 runs/load/constrained.py --batch 1,8 --temperature 0.7

Each round writes both, and which goes first alternates. An answer under the schema cannot end before its length is reached,
since the list asks for more items than fit. The rate is that of writing: tokens after each answer's first, over the time
from the first token of the last answer to begin to the last token of the first to end; compiling the schema and the prompts
are in the time to the first token. The cost is the median over rounds of 1 - constrained / free, with the interval that
holds it at 95 % (by order statistics). On a machine that does other things too, processor time per token says more than the
clock: it is what the server's process took, prompts and all.
"""
import argparse
import asyncio
import math
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))
from client import ask  # noqa: E402
from process import cpu_s  # noqa: E402
from servers import CHAT, Candor  # noqa: E402

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "role": {"enum": ["engineer", "designer", "manager", "researcher"]},
        "age": {"type": "integer", "minimum": 18, "maximum": 99},
        "rate": {"type": "number"},
        "remote": {"type": "boolean"},
        "skills": {"type": "array", "items": {"type": "string", "maxLength": 20}, "minItems": 1, "maxItems": 4},
        "address": {
            "type": "object",
            "properties": {"street": {"type": "string", "maxLength": 40}, "city": {"type": "string", "maxLength": 20}, "zip": {"type": "string", "pattern": "^[0-9]{5}$"}},
            "required": ["street", "city", "zip"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "role", "age", "rate", "remote", "skills", "address"],
    "additionalProperties": False,
}
FORMATS = {
    "schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "people", "schema": {"type": "array", "items": PERSON, "minItems": 200}}}},
    "regex": {"structured_outputs": {"regex": "(?s:.{2000,4000})"}},
}


def request(model, seed, tokens, temperature, constraint):
    question = f"Make up a list of {seed + 20} people who work at a company, with everything that an address book of staff has. Write JSON only."
    body = {"model": model, "messages": [{"role": "user", "content": question}], "max_tokens": tokens, "temperature": temperature, "seed": seed}
    body |= {"stream": True, "stream_options": {"include_usage": True}, "ignore_eos": True}
    return body | FORMATS.get(constraint, {})


async def batch(url, model, size, tokens, temperature, constraint):
    """Tokens per second while all of a batch are writing, and seconds to the last one's first token."""
    asked = (ask(url, "/v1/chat/completions", request(model, seed, tokens, temperature, constraint)) for seed in range(size))
    answers = await asyncio.gather(*asked)
    for answer in answers:
        if answer.status != 200 or answer.usage().get("completion_tokens") != tokens:
            raise SystemExit(f"{constraint}: HTTP {answer.status}, {answer.usage()} {answer.body[:300]!r}")
    times = [answer.text_times() for answer in answers]
    begin, end = max(own[0] for own in times), min(own[-1] for own in times)
    # Events hold one token each, but for tokens that end inside a character: scaled to what the server counted.
    written = sum(sum(begin < at <= end for at in own) * tokens / len(own) for own in times)
    return written / (end - begin), max(own[0] - answer.sent for own, answer in zip(times, answers))


def middle(values):
    """The median, and the order statistics between which it lies with 95 %."""
    values, n = sorted(values), len(values)
    tail = 0.0
    for low in range(n):
        tail += math.comb(n, low) / 2**n
        if tail > 0.025:
            break
    return statistics.median(values), values[low], values[n - 1 - low]


def shown(value, low, high, of=lambda x: x):
    low, high = sorted((of(low), of(high)))
    return f"{100 * of(value):.1f} % ({100 * low:.1f} to {100 * high:.1f})"


async def measure(server, options):
    for size in options.batch:
        for constraint in options.constraint:
            kinds = ("free", constraint)
            rates, firsts, work = ({kind: [] for kind in kinds} for _ in range(3))
            for kind in kinds:
                await batch(server.url, options.model, size, 16, options.temperature, kind)  # wakes what sleeps, keeps the prompts
            for number in range(options.rounds):
                for kind in kinds[:: 1 if number % 2 else -1]:
                    before = cpu_s(server.process.pid)
                    rate, first = await batch(server.url, options.model, size, options.tokens, options.temperature, kind)
                    rates[kind].append(rate)
                    firsts[kind].append(first)
                    work[kind].append((cpu_s(server.process.pid) - before) / (size * options.tokens))
            slower = middle([own / free for free, own in zip(*rates.values())])
            dearer = middle([own / free for free, own in zip(*work.values())])
            of = statistics.median
            print(f"| {size} | {constraint} | {of(rates['free']):.0f} | {of(rates[constraint]):.0f} | {shown(*slower, lambda r: 1 - r)} "
                  f"| {shown(*dearer, lambda r: r - 1)} | {of(firsts['free']):.3f} | {of(firsts[constraint]):.3f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=CHAT)
    parser.add_argument("--batch", type=lambda text: [int(part) for part in text.split(",")], default=[1, 8])
    parser.add_argument("--constraint", choices=FORMATS, nargs="+", default=list(FORMATS))
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--temperature", type=float, default=0.0)
    options = parser.parse_args()
    print("| answers | constraint | free t/s | constrained t/s | slower by | more processor time | first token s, free | constrained |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as data, Candor(data, models=(options.model,)) as server:
        asyncio.run(measure(server, options))


if __name__ == "__main__":
    main()
