"""A mixed load: requests of every kind that people and programs send, and some that nobody should. Each kind is a function
of a random generator that sends one request and returns what became of it; `KINDS` says how often each comes."""
import asyncio
import json
import random
from dataclasses import dataclass

from client import ask, connect, head
from constrained import FORMATS

WORDS = ("time year people way day man thing woman life child world school state family student group country problem hand part place "
         "case week company system program question work government number night point home water room mother area money story fact "
         "month lot right study book eye job word business issue side kind head house service friend father power hour game line end").split()
PREFIXES = [" ".join(random.Random(seed).choices(WORDS, k=300)) for seed in range(5)]
SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "kind": {"enum": ["a", "b"]}, "size": {"type": "integer"}}, "required": ["name", "kind", "size"]}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"place": {"type": "string", "maxLength": 30}}, "required": ["place"]}}}
BAD = [
    ("/v1/chat/completions", {"messages": []}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "temperature": -1}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "n": 1000}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "stop": ["x"] * 1000}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "no"}}}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"unknown": 1}}}}),
    ("/v1/completions", {"prompt": "x", "structured_outputs": {"regex": "(((("}}),
    ("/v1/completions", {"prompt": [10**9]}),
    ("/v1/completions", {"prompt": "x " * 20000}),
    ("/v1/completions", b"{\"model\": "),
    ("/v1/completions", b"\xff\xfe"),
    ("/v1/completions", b"[" * 100000),
    ("/v1/nothing", {}),
]


@dataclass
class Result:
    """What became of a request: `status` 0 where the client left before the answer had one."""

    kind: str
    status: int
    wrong: str = ""
    tokens: int = 0
    answers: int = 0
    left: bool = False
    seconds: float = 0.0


class Mix:
    def __init__(self, url, chat, embed, wait_s):
        self.url, self.chat, self.embed, self.wait_s = url, chat, embed, wait_s
        self.probes = {}

    async def one(self, draw):
        """One request, of a kind that `draw` chooses."""
        kind = draw.choices(list(KINDS), weights=list(KINDS.values()))[0]
        begin = asyncio.get_running_loop().time()
        try:
            result = await getattr(self, kind)(draw)
        except TimeoutError:
            result = Result(kind, 0, f"no end after {self.wait_s:.0f} s")
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            result = Result(kind, 0, f"{type(error).__name__}: {error}")
        result.kind, result.seconds = kind, asyncio.get_running_loop().time() - begin
        return result

    async def post(self, path, body, good=(200,), **how):
        if isinstance(body, dict):
            body = {"model": self.chat, **body}
        answer = await ask(self.url, path, body, wait_s=self.wait_s, **how)
        result = Result("", answer.status)
        usage = answer.usage() if answer.status == 200 and path.startswith("/v1/") and "leave_after" not in how else {}
        result.tokens, result.answers = usage.get("completion_tokens", 0), body.get("n", 1) if isinstance(body, dict) else 0
        if answer.status not in good:
            result.wrong = f"HTTP {answer.status}: {answer.body[:200]!r}"
        if answer.events and "leave_after" not in how and answer.events[-1][1] != "[DONE]":
            result.wrong = "the stream ended without [DONE]"
        return answer, result

    def said(self, draw, words, tokens):
        text = " ".join(draw.choices(WORDS, k=words))
        return {"messages": [{"role": "user", "content": text}], "max_tokens": tokens, "seed": draw.randrange(2**31)}

    async def short(self, draw):
        return (await self.post("/v1/chat/completions", self.said(draw, draw.randint(3, 30), draw.randint(1, 64))))[1]

    async def stream(self, draw):
        more = {"stream": True, "stream_options": {"include_usage": True}, "temperature": draw.choice([0, 0.7, 1.5])}
        return (await self.post("/v1/chat/completions", self.said(draw, draw.randint(10, 200), draw.randint(8, 128)) | more))[1]

    async def long(self, draw):
        return (await self.post("/v1/completions", {"prompt": " ".join(draw.choices(WORDS, k=draw.randint(500, 2500))), "max_tokens": 16}))[1]

    async def huge(self, draw):
        return (await self.post("/v1/completions", {"prompt": " ".join(draw.choices(WORDS, k=7500)), "max_tokens": 4}))[1]

    async def shared(self, draw):
        prompt = draw.choice(PREFIXES) + " " + " ".join(draw.choices(WORDS, k=10))
        return (await self.post("/v1/completions", {"prompt": prompt, "max_tokens": 24, "temperature": 0}))[1]

    async def several(self, draw):
        body = {"prompt": " ".join(draw.choices(WORDS, k=20)), "n": draw.randint(2, 6), "max_tokens": 24, "stop": ["\n\n", "the end", "."]}
        return (await self.post("/v1/completions", body))[1]

    async def logprobs(self, draw):
        body = self.said(draw, 20, 16) | {"logprobs": True, "top_logprobs": 20, "logit_bias": {str(draw.randrange(49000)): 5 for _ in range(300)}}
        return (await self.post("/v1/chat/completions", body))[1]

    async def echo(self, draw):
        return (await self.post("/v1/completions", {"prompt": " ".join(draw.choices(WORDS, k=100)), "echo": True, "logprobs": 3, "max_tokens": 1}))[1]

    async def penalties(self, draw):
        more = {"repetition_penalty": 1.2, "presence_penalty": 0.5, "dry_multiplier": 0.8, "min_p": 0.05, "typical_p": 0.9}
        return (await self.post("/v1/chat/completions", self.said(draw, 40, 48) | more))[1]

    async def schema(self, draw):
        form = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}
        answer, result = await self.post("/v1/chat/completions", self.said(draw, 10, 100) | form | {"stop": None})
        if answer.status == 200 and answer.json()["choices"][0]["finish_reason"] == "stop":
            json.loads(answer.json()["choices"][0]["message"]["content"])
        return result

    async def people(self, draw):
        return (await self.post("/v1/chat/completions", self.said(draw, 10, 64) | FORMATS["schema"]))[1]

    async def regex(self, draw):
        return (await self.post("/v1/completions", {"prompt": "A number:", "max_tokens": 32, "structured_outputs": {"regex": f"[0-9]{{1,{draw.randint(3, 300)}}}"}}))[1]

    async def tools(self, draw):
        return (await self.post("/v1/chat/completions", self.said(draw, 10, 64) | {"tools": [TOOL], "tool_choice": draw.choice(["auto", "required"])}))[1]

    async def responses(self, draw):
        body = {"input": " ".join(draw.choices(WORDS, k=20)), "max_output_tokens": 24, "store": False}
        answer = await ask(self.url, "/v1/responses", {"model": self.chat, **body}, wait_s=self.wait_s)
        tokens = answer.usage().get("output_tokens", 0)
        return Result("", answer.status, "" if answer.status == 200 else f"HTTP {answer.status}: {answer.body[:200]!r}", tokens, 1)

    async def embeddings(self, draw):
        texts = [" ".join(draw.choices(WORDS, k=draw.randint(3, 120))) for _ in range(draw.randint(1, 8))]
        answer = await ask(self.url, "/v1/embeddings", {"model": self.embed, "input": texts}, wait_s=self.wait_s)
        fits = answer.status == 200 and len(answer.json()["data"]) == len(texts)
        return Result("", answer.status, "" if fits else f"HTTP {answer.status}: {answer.body[:200]!r}")

    async def tokenize(self, draw):
        return (await self.post("/tokenize", {"prompt": " ".join(draw.choices(WORDS, k=200))}))[1]

    async def look(self, draw):
        answer = await ask(self.url, draw.choice(["/v1/models", "/health", "/ready", "/", "/openapi.json"]), wait_s=self.wait_s)
        return Result("", answer.status, "" if answer.status == 200 else f"HTTP {answer.status}")

    async def bad(self, draw):
        path, body = draw.choice(BAD)
        return (await self.post(path, body, good=(400, 404, 413)))[1]

    async def leaves(self, draw):
        """Goes away in the middle of a stream."""
        body = self.said(draw, draw.randint(10, 1500), 400) | {"stream": True, "ignore_eos": True}
        result = (await self.post("/v1/chat/completions", body, leave_after=draw.randint(1, 40)))[1]
        result.left = True
        return result

    async def never_waits(self, draw):
        """Sends a request, or half of one, and goes away without reading."""
        payload = json.dumps({"model": self.chat, **self.said(draw, draw.randint(10, 3000), 300)}).encode()
        reader, writer = await connect(self.url)
        writer.write(head("POST", self.url, "/v1/chat/completions", len(payload)) + payload[: draw.choice([len(payload), len(payload) // 2])])
        await writer.drain()
        await asyncio.sleep(draw.uniform(0, 0.5))
        writer.close()
        return Result("", 0, left=True, answers=1)

    async def probe(self, draw):
        """The same request must have the same answer, whatever runs beside it."""
        number = draw.randrange(4)
        prompt = " ".join(random.Random(number).choices(WORDS, k=50))
        answer, result = await self.post("/v1/completions", {"prompt": prompt, "max_tokens": 24, "temperature": 1, "seed": 7, "logprobs": 1})
        if answer.status == 200:
            text = answer.json()["choices"][0]["text"]
            if self.probes.setdefault(number, text) != text:
                result.wrong = f"probe {number} answered {text!r} after {self.probes[number]!r}"
        return result


KINDS = {
    "short": 10, "stream": 14, "long": 5, "huge": 0.6, "shared": 8, "several": 5, "logprobs": 4, "echo": 3, "penalties": 4, "schema": 5, "people": 4,
    "regex": 3, "tools": 5, "responses": 4, "embeddings": 6, "tokenize": 3, "look": 4, "bad": 6, "leaves": 6, "never_waits": 4, "probe": 6,
}
