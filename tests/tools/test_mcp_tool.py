"""Tools of MCP servers: real servers of the protocol's own library, and some that break its rules."""

import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.tools.service import LOOPBACK, Received, Reply, Service, answer, naming, raw, redirect, service
from threadhub.agents.tools.errors import ToolAddressRefused, ToolError, ToolUnavailable
from threadhub.agents.tools.guard import Guard
from threadhub.agents.tools.mcp_tool import McpServer, McpToolDescription
from threadhub.agents.tools.output import ToolOutput
from threadhub.lib.errors import Invalid

ROOT = Path(__file__).resolve().parents[2]
SECRET = "Bearer sesame-open-4711"

pytestmark = pytest.mark.skipif(find_spec("mcp") is None, reason="needs pip install -r threadhub/extras/mcp.txt")


@pytest.fixture(scope="module", params=["new", "old"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a running server, of the protocol's newer and older kind."""
    command = [sys.executable, "-m", "tests.tools.mcp_service", *(["--old"] if request.param == "old" else [])]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
        finally:
            process.terminate()


def call(url: str, tool: str, *, guard: Guard = LOOPBACK, call_id: str = "call_1", **given: Any) -> ToolOutput:
    options = given.pop("options", {})
    server = McpServer(url, **options)
    return asyncio.run(server.call(tool, given, call_id=call_id, guard=guard))


def test_its_tools_are_listed(url: str) -> None:
    tools = {tool.name: tool for tool in asyncio.run(McpServer(url).list_tools(guard=LOOPBACK))}
    assert set(tools) == {"add", "fail", "echo", "headers", "meta", "slow", "large", "null"}
    assert tools["add"].description == "Adds two numbers."
    assert tools["add"].parameters["required"] == ["a", "b"]
    assert all(tool.faults == () for tool in tools.values())


def test_a_tool_is_called(url: str) -> None:
    assert call(url, "add", a=1, b=2) == ToolOutput({"result": 3})
    assert call(url, "echo", text="héllo") == ToolOutput("héllo")


def test_both_kinds_of_servers_are_spoken_to(url: str, request: pytest.FixtureRequest) -> None:
    version = call(url, "headers").content.partition("mcp-protocol-version: ")[2][:4]
    assert version == {"new": "2026", "old": "2025"}[request.node.callspec.params["url"]]


def test_the_call_says_which_it_is(url: str) -> None:
    assert "call_1" in call(url, "meta").content


def test_what_the_tool_fails_at_is_an_error_with_its_words(url: str) -> None:
    output = call(url, "fail")
    assert (output.is_error, output.error_code) == (True, "tool_http_error")
    assert "this cannot be done" in output.content["body"]
    assert call(url, "nothing").error_code == "tool_http_error"
    assert call(url, "add", a="x").error_code == "tool_http_error"


def test_secrets_go_along_and_do_not_come_back(url: str, caplog: pytest.LogCaptureFixture) -> None:
    options = {"secret_headers": {"Authorization": SECRET}, "headers": {"X-Mine": "1"}}
    with caplog.at_level(logging.DEBUG):
        output = call(url, "headers", options=options)
    assert "authorization: [hidden]" in output.content
    assert "x-mine: 1" in output.content
    assert "accept-encoding: identity" in output.content
    assert caplog.records
    assert "sesame" not in caplog.text + repr(output) + repr(McpServer(url, **options))


def test_the_limits_hold(url: str) -> None:
    started = time.monotonic()
    assert call(url, "slow", options={"timeout_seconds": 1}).error_code == "tool_timeout"
    assert time.monotonic() - started < 4
    assert len(call(url, "large", size=500_000).content) == 500_000
    output = call(url, "large", size=500_000, options={"max_response_bytes": 100_000})
    assert output.error_code == "tool_too_large"
    assert output.may_have_acted is True
    assert call(url, "null").error_code == "tool_bad_response"


def test_the_guard_decides(url: str) -> None:
    output = call(url, "add", a=1, b=2, guard=Guard())
    assert (output.error_code, output.may_have_acted) == ("tool_address_refused", False)
    with pytest.raises(ToolAddressRefused):
        asyncio.run(McpServer(url).list_tools(guard=Guard()))


def test_cancelling_ends_it(url: str) -> None:
    async def run() -> float:
        task = asyncio.ensure_future(McpServer(url).call("slow", {}, call_id="c", guard=LOOPBACK))
        await asyncio.sleep(1)
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - started

    assert asyncio.run(run()) < 2


# Servers that break the rules


def rpc(result: Any, *, kind: str = "application/json") -> Reply:
    """Answers `tools/call` and `tools/list` with this result, and the older handshake as it should be."""

    async def reply(request: Received, writer: asyncio.StreamWriter) -> None:
        message = json.loads(request.body or b"{}")
        method = message.get("method")
        if method == "initialize":
            given: Any = {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "x", "version": "1"},
            }
        elif method in ("tools/call", "tools/list"):
            given = result
        elif "id" in message:
            error = {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "No such method"}}
            return await answer(json.dumps(error).encode(), status=404)(request, writer)
        else:
            return await answer(b"", status=202 if request.method == "POST" else 405)(request, writer)
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": given}).encode()
        if kind == "text/event-stream":
            body = b"event: message\ndata: " + body + b"\n\n"
        return await answer(body, kind=kind)(request, writer)

    return reply


def at(reply: Reply, *, guard: Guard = LOOPBACK, **options: Any) -> tuple[ToolOutput, Service]:
    async def run() -> tuple[ToolOutput, Service]:
        async with service(reply) as there:
            server = McpServer(there.url("/mcp"), secret_headers={"X-Key": SECRET}, **options)
            return await server.call("t", {"a": 1}, call_id="c", guard=guard), there

    return asyncio.run(run())


def texts(*blocks: Any, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks], **more}


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_results_have_one_form(kind: str) -> None:
    picture = {"type": "image", "data": "aGk=", "mimeType": "image/png"}
    page = {"type": "resource", "resource": {"uri": "file:///x", "text": "page"}}
    for result, content in (
        (texts("one", "two"), "one\n\ntwo"),
        (texts("seen", picture, page), "seen\n\n[image, left out]\n\npage"),
        (texts("text", structuredContent={"n": [1, None]}), {"n": [1, None]}),
        (texts(), None),
    ):
        output, _ = at(rpc(result, kind=kind))
        assert output == ToolOutput(content)


@pytest.mark.parametrize(
    "reply",
    [
        answer(b"", status=200),
        answer(b"{", status=200),
        answer(b"[]", status=200),
        answer(b"x", kind="text/html"),
        answer(b"", status=202),
        answer(b"boom", status=500),
        answer(b"no", status=401),
        raw(b"nonsense\r\n\r\n"),
        raw(b""),
        rpc({"content": "not a list"}),
        rpc({"content": [{"type": "nonsense"}]}),
        rpc([]),
        rpc(texts("a\x00b")),
        rpc(texts("", structuredContent={"n": 2**80})),
        rpc({"resultType": "input_required", "inputRequests": {}}),
        rpc(texts("x", structuredContent={"deep": json.loads("[" * 80 + "]" * 80)})),
    ],
)
def test_a_server_that_breaks_the_rules_is_a_failure_with_a_code(reply: Reply) -> None:
    started = time.monotonic()
    output, _ = at(reply, timeout_seconds=5)
    assert output.error_code in ("tool_bad_response", "tool_http_error", "tool_unavailable")
    assert output.content["error"].endswith(".")
    assert time.monotonic() - started < 4


def test_a_result_is_not_checked_against_the_servers_own_schema() -> None:
    """`(a+)+$` by `re` would hold the process for ever."""
    listed = {
        "name": "t",
        "inputSchema": {"type": "object"},
        "outputSchema": {"type": "object", "properties": {"x": {"pattern": "^(a+)+$"}}},
    }
    output, there = at(
        rpc({**texts("x", structuredContent={"x": "a" * 40 + "!"}), "tools": [listed]}), timeout_seconds=5
    )
    assert output.content == {"x": "a" * 40 + "!"}
    assert b"tools/list" not in b"".join(request.body for request in there.requests)


def test_a_call_refused_for_its_headers_is_made_once_more_after_a_listing() -> None:
    """The protocol's own recovery where a server wants arguments repeated in headers; nothing was done before it."""
    listed = {"name": "t", "inputSchema": {"type": "object"}}
    inner = rpc({**texts("done"), "tools": [listed]})
    calls: list[str] = []

    async def reply(request: Received, writer: asyncio.StreamWriter) -> None:
        message = json.loads(request.body or b"{}")
        calls.append(message.get("method", ""))
        if message.get("method") == "tools/call" and calls.count("tools/call") == 1:
            error = {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32020, "message": "Header mismatch"}}
            await answer(json.dumps(error).encode(), status=400)(request, writer)
        else:
            await inner(request, writer)

    output, _ = at(reply, timeout_seconds=5)
    assert output == ToolOutput("done")
    assert [method for method in calls if method.startswith("tools/")] == ["tools/call", "tools/list", "tools/call"]


def test_hostile_descriptions_are_listed_with_their_faults() -> None:
    def tool(name: str, schema: Any, description: str = "d") -> dict[str, Any]:
        return {"name": name, "inputSchema": schema, "description": description}

    tools = [
        tool("good", {"type": "object"}),
        tool("far", {"type": "object", "$ref": "http://169.254.169.254/"}),
        tool("slow", {"type": "object", "properties": {"x": {"pattern": "(a+)+(?=b)"}}}),
        tool("", {"type": "object"}),
        tool("n" * 500, {"type": "object"}),
        tool("nul", {"type": "object"}, "a\x00b"),
        tool("long", {"type": "object"}, "x" * 10_000),
        tool("echo", {"type": "object", "description": SECRET}, SECRET),
    ]

    async def run(result: Any) -> list[McpToolDescription]:
        async with service(rpc(result)) as there:
            server = McpServer(there.url("/mcp"), secret_headers={"X-Key": SECRET}, timeout_seconds=5)
            return await server.list_tools(guard=LOOPBACK)

    found = asyncio.run(run({"tools": tools}))
    assert [bool(each.faults) for each in found] == [False, True, True, True, True, True, False, False]
    assert [each.parameters for each in found if each.faults] == [{"type": "object"}] * 5
    assert max(len(each.description) for each in found) <= 4096
    assert max(len(each.name) for each in found) <= 128
    assert "sesame" not in repr(found)
    endless = asyncio.run(run({"tools": [tool("t", {"type": "object"})] * 20, "nextCursor": "again"}))
    assert len(endless) == 200


def test_an_endless_answer_is_cut() -> None:
    async def endless(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        while True:
            writer.write(b": nothing\n\n" * 1000)
            await writer.drain()

    started = time.monotonic()
    output, _ = at(endless, timeout_seconds=5)
    assert output.error_code == "tool_too_large"
    assert time.monotonic() - started < 4


def test_a_compressed_answer_is_bounded() -> None:
    import gzip

    output, _ = at(answer(gzip.compress(b" " * 100_000_000), headers={"content-encoding": "gzip"}), timeout_seconds=5)
    assert output.error_code == "tool_too_large"


@pytest.mark.parametrize("location", ["http://10.0.0.1/", "http://other.example:{port}/mcp", "http://169.254.169.254/"])
def test_redirects_do_not_leave_the_origin(location: str) -> None:
    async def reply(request: Received, writer: asyncio.StreamWriter) -> None:
        port = request.headers["host"].rpartition(":")[2]
        await redirect(location.replace("{port}", port), 307)(request, writer)

    output, there = at(reply, guard=naming("other.example"), timeout_seconds=5)
    assert output.is_error
    assert {request.headers["host"] for request in there.requests} == {f"127.0.0.1:{there.port}"}


def test_a_result_counts_though_the_session_does_not_end() -> None:
    inner = rpc(texts("done"))

    async def reply(request: Received, writer: asyncio.StreamWriter) -> None:
        if request.method == "DELETE":
            await asyncio.sleep(30)
        elif b'"initialize"' in request.body:
            message = json.loads(request.body)
            result = {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {},
                "serverInfo": {"name": "x", "version": "1"},
            }
            body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
            await answer(body, headers={"mcp-session-id": "s1"})(request, writer)
        else:
            await inner(request, writer)

    output, there = at(reply, timeout_seconds=1.5)
    assert output == ToolOutput("done")
    assert "DELETE" in {request.method for request in there.requests}


def test_without_the_extra_it_says_so() -> None:
    """In a process where the library cannot be imported."""
    script = """
import asyncio, sys
sys.modules["mcp"] = None
from threadhub.agents.tools.errors import ToolUnavailable
from threadhub.agents.tools.guard import Guard
from threadhub.agents.tools.mcp_tool import McpServer
server = McpServer("https://x.example/mcp")
output = asyncio.run(server.call("t", {}, call_id="c", guard=Guard()))
print(output.error_code, output.may_have_acted, output.content["error"], output.reason)
try:
    asyncio.run(server.list_tools(guard=Guard()))
except ToolUnavailable as error:
    print(error.message)
"""
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [
        "tool_unavailable False Tools of MCP servers are not installed here. pip install -r threadhub/extras/mcp.txt",
        "Tools of MCP servers are not installed here.",
    ]


@pytest.mark.parametrize(
    "options",
    [
        {"url": "stdio://x"},
        {"url": "https://x.example/{tenant}"},
        {"url": "https://user:pass@x.example/"},
        {"headers": {"Host": "x"}},
        {"secret_headers": {"X": "a\nb"}},
        {"timeout_seconds": 0},
        {"max_response_bytes": 0},
    ],
)
def test_a_server_that_could_never_be_called_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        McpServer(**{"url": "https://x.example/mcp", **options})


def test_nobody_there_is_unavailable() -> None:
    async def run() -> tuple[ToolOutput, type[ToolError]]:
        async with service(answer()) as there:
            url = there.url("/mcp")
        output = await McpServer(url).call("t", {}, call_id="c", guard=LOOPBACK)
        with pytest.raises(ToolError) as caught:
            await McpServer(url).list_tools(guard=LOOPBACK)
        return output, caught.type

    output, error = asyncio.run(run())
    assert output.error_code == "tool_unavailable"
    assert output.may_have_acted is False
    assert error is ToolUnavailable
