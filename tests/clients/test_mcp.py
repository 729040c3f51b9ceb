"""`candor mcp` with the official client of the Model Context Protocol for Python."""
import asyncio
import os
import sys
from pathlib import Path

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from servers import candor_path, models_folder  # noqa: E402

TEXT = "The lighthouse of Alexandria was built in the third century before our era. It stood on the island of Pharos.\n"


def talk(tmp_path, conversation):
    (tmp_path / "lighthouse.txt").write_text(TEXT)
    env = {**os.environ, "CANDOR_DATA_DIR": str(tmp_path / "data"), "CANDOR_MODELS": models_folder()}
    server = StdioServerParameters(command=str(candor_path()), args=["mcp", "--sources", str(tmp_path / "lighthouse.txt")], env=env)

    async def run():
        async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            return await conversation(session)

    return asyncio.run(asyncio.wait_for(run(), 120))


def test_an_assistant_searches_asks_and_checks(tmp_path):
    async def conversation(session):
        names = [tool.name for tool in (await session.list_tools()).tools]
        found = await session.call_tool("search_sources", {"query": "lighthouse", "limit": 1})
        answer = await session.call_tool("ask", {"question": "On which island did the lighthouse of Alexandria stand?"})
        claim = await session.call_tool("check_claim", {"claim": "The lighthouse of Alexandria was built in the third century before our era."})
        return names, found, answer, claim

    names, found, answer, claim = talk(tmp_path, conversation)
    assert names == ["search_sources", "ask", "check_claim"]
    assert "Pharos" in structured(found)["passages"][0]["quote"]
    sentence = structured(answer)["sentences"][0]
    quote = sentence["citations"][0]
    assert "Pharos" in sentence["text"] and TEXT.encode()[quote["start"]:quote["end"]].decode() == quote["quote"]
    assert structured(claim)["verdict"] == "supported" and structured(claim)["evidence"]["quote"] in TEXT


def structured(result):
    return getattr(result, "structured_content", None) or result.structuredContent


def test_what_an_assistant_gets_wrong_is_said_to_it(tmp_path):
    async def conversation(session):
        return [
            await session.call_tool("ask", {"question": "x", "dial": 7}),
            await session.call_tool("search_sources", {"words": "x"}),
        ]

    dial, arguments = talk(tmp_path, conversation)
    failed = lambda result: getattr(result, "is_error", None) or getattr(result, "isError", None)
    assert failed(dial) and "between 0 and 1" in dial.content[0].text
    assert failed(arguments) and "query" in arguments.content[0].text
