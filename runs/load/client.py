"""One request over a connection of its own, and when each part of its answer came. Standard library only, so that a hundred
clients cost the machine little beside the server that they measure."""
import asyncio
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Answer:
    """What came back. Times are seconds by `time.perf_counter`."""

    sent: float
    status: int = 0
    body: bytes = b""
    events: list = field(default_factory=list)  # (time, data of a server-sent event)
    ended: float = 0.0

    def json(self):
        return json.loads(self.body)

    def chunks(self):
        """The events that are JSON, with their times."""
        return [(at, json.loads(data)) for at, data in self.events if data != "[DONE]"]

    def text_times(self):
        """When text came: the first token first."""
        return [at for at, chunk in self.chunks() if any(text_of(choice) for choice in chunk.get("choices", []))]

    def usage(self):
        """What the server counted, of a stream with `include_usage` or of a whole answer."""
        if self.events:
            return next((chunk["usage"] for _, chunk in reversed(self.chunks()) if chunk.get("usage")), {})
        return self.json().get("usage", {}) if self.status == 200 else {}


def text_of(choice):
    return choice.get("text") or choice.get("delta", {}).get("content") or choice.get("delta", {}).get("tool_calls")


async def connect(url):
    place = urlsplit(url)
    return await asyncio.open_connection(place.hostname, place.port, limit=1 << 26)


def head(method, url, path, length, more=""):
    place = urlsplit(url)
    return (f"{method} {path} HTTP/1.1\r\nhost: {place.netloc}\r\nconnection: close\r\n"
            f"content-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n").encode()


async def ask(url, path, body=None, *, leave_after=None, wait_s=600.0):
    """Sends `body` (a value that becomes JSON, or bytes as they are) and reads the answer to its end; `leave_after` hangs up
    after so many events. A GET where there is no body."""
    payload = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    answer = Answer(time.perf_counter())
    reader, writer = await connect(url)
    try:
        async with asyncio.timeout(wait_s):
            writer.write(head("GET" if body is None else "POST", url, path, len(payload)) + payload)
            try:
                await writer.drain()
            except ConnectionError:
                pass  # refused before all of it was read: the answer is there all the same
            await read(reader, answer, leave_after)
    finally:
        answer.ended = time.perf_counter()
        writer.close()
    return answer


async def read(reader, answer, leave_after=None):
    first = await reader.readline()
    if not first:
        raise ConnectionError("the connection closed without an answer")
    answer.status = int(first.split()[1])
    headers = {}
    while (line := await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("content-type", "").startswith("text/event-stream"):
        rest = b""
        async for part in parts(reader, headers):
            now = time.perf_counter()
            *whole, rest = (rest + part).split(b"\n\n")
            answer.events += [(now, event[6:].decode()) for event in whole if event.startswith(b"data: ")]
            if leave_after is not None and len(answer.events) >= leave_after:
                return
    else:
        answer.body = b"".join([part async for part in parts(reader, headers)])


async def parts(reader, headers):
    """The pieces of a body, as they come."""
    if headers.get("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readline()
    elif "content-length" in headers:
        yield await reader.readexactly(int(headers["content-length"]))
    else:
        while part := await reader.read(1 << 16):
            yield part
