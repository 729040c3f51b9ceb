#!/usr/bin/env python3
"""What a constraint costs: answers at once that are held to a JSON schema beside as many free ones of the same length.

    python3 runs/load/constrained.py --rounds 5
    python3 runs/load/constrained.py --batch 1,8 --temperature 0.7

Each round writes both, and which goes first alternates. An answer under the schema cannot end before its length is reached,
since the list asks for more items than fit. The rate is that of writing: tokens after each answer's first, over the time
from the first token of the last answer to begin to the last token of the first to end; compiling the schema and the prompts
are reported as the time to the first token.
"""
import argparse
import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "support"))
from client import ask  # noqa: E402
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


async def measure(url, options):
    for size in options.batch:
        for constraint in options.constraint:
            rates, firsts = {"free": [], constraint: []}, {"free": [], constraint: []}
            for kind in rates:
                await batch(url, options.model, size, 16, options.temperature, kind)  # wakes what sleeps, and keeps the prompts
            for round_ in range(options.rounds):
                for kind in list(rates)[:: 1 if round_ % 2 else -1]:
                    rate, first = await batch(url, options.model, size, options.tokens, options.temperature, kind)
                    rates[kind].append(rate)
                    firsts[kind].append(first)
            ratios = [own / free for own, free in zip(rates[constraint], rates["free"])]
            of = statistics.median
            print(f"| {size} | {constraint} | {of(rates['free']):.0f} | {of(rates[constraint]):.0f} | {100 * (1 - of(ratios)):.1f} % "
                  f"| {100 * (1 - max(ratios)):.1f} to {100 * (1 - min(ratios)):.1f} % | {of(firsts['free']):.3f} | {of(firsts[constraint]):.3f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a server that runs already; without it one is started")
    parser.add_argument("--model", default=CHAT)
    parser.add_argument("--batch", type=lambda text: [int(part) for part in text.split(",")], default=[1, 8])
    parser.add_argument("--constraint", choices=FORMATS, nargs="+", default=list(FORMATS))
    parser.add_argument("--tokens", type=int, default=192)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--temperature", type=float, default=0.0)
    options = parser.parse_args()
    print("| batch | constraint | free t/s | constrained t/s | cost | over rounds | first token s, free | constrained |\n|---|---|---|---|---|---|---|---|")
    if options.url:
        asyncio.run(measure(options.url, options))
        return
    with tempfile.TemporaryDirectory() as data, Candor(data, models=(options.model,)) as server:
        asyncio.run(measure(server.url, options))


if __name__ == "__main__":
    main()
