"""What comes back from web services, what they cannot make us do, and secrets that return."""

import asyncio
import gzip
import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.tools.service import (
    LOOPBACK,
    OK,
    Received,
    Reply,
    answer,
    ask,
    raw,
    redirect,
    refused,
    service,
)
from threadhub.agents.tools.guard import Guard
from threadhub.agents.tools.http_tool import HttpTool
from threadhub.agents.tools.output import ToolOutput
from threadhub.lib.errors import Invalid

ROOT = Path(__file__).resolve().parents[2]
SECRET = "Bearer sesame-open-4711"


@pytest.mark.parametrize(
    ("body", "kind", "content"),
    [
        (b'{"a": [1, null, "\\u00e9"]}', "application/json", {"a": [1, None, "é"]}),
        (b"[]", "application/problem+json; charset=utf-8", []),
        (b"null", "application/json", None),
        (b"18446744073709551615", "application/json", 2**64 - 1),
        (b"", "application/json", None),
        ("grüße".encode(), "text/plain; charset=UTF-8", "grüße"),
        (b'{"a": 1}', "text/html", '{"a": 1}'),
        (b"plain", "", "plain"),
    ],
)
def test_answers_are_json_or_text(body: bytes, kind: str, content: Any) -> None:
    output, _ = ask(answer(body, kind=kind))
    assert output == ToolOutput(content, status=200)


def test_nothing_is_an_answer_too() -> None:
    output, _ = ask(raw(b"HTTP/1.1 204 No Content\r\n\r\n"))
    assert output == ToolOutput(None, status=204)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"{} {}", "application/json"),
        (b'{"a": 1, "a": 2}', "application/json"),
        (b"[NaN]", "application/json"),
        (b"[1e999999, Infinity]", "application/json"),
        (b"123456789012345678901234567890", "application/json"),
        (b'"\\u0000"', "application/json"),
        (b'{"\\ud800": 1}', "application/json"),
        (b"[" * 5000 + b"]" * 5000, "application/json"),
        (b'"\xff\xfe"', "application/json"),
        (b"\xff\xfe\x00", "text/plain"),
        (b"a\x00b", "text/plain"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "image/png"),
        (b"caf\xe9", "text/plain; charset=iso-8859-1"),
        (b"abc", "text/plain; charset=utf-16"),
    ],
)
def test_what_cannot_be_kept_is_a_bad_response(body: bytes, kind: str) -> None:
    output, _ = ask(answer(body, kind=kind))
    assert refused(output) == "tool_bad_response"
    assert output.may_have_acted is True


@pytest.mark.parametrize("status", [400, 404, 418, 429, 500, 503, 300, 304])
def test_an_error_status_is_an_error_with_what_the_service_says(status: int) -> None:
    output, _ = ask(answer(b'{"detail": "no such city"}' if status != 304 else b"", status=status))
    assert refused(output) == "tool_http_error"
    assert output.status == status
    assert output.content["error"] == f"The tool answered with the HTTP status {status}."
    assert status == 304 or output.content["body"] == {"detail": "no such city"}


def test_an_unreadable_error_is_still_that_error() -> None:
    output, _ = ask(answer(b"\xff\xff", status=500))
    assert refused(output) == "tool_http_error"
    assert output.content == {"error": "The tool answered with the HTTP status 500."}


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ((b"",), "tool_bad_response"),
        ((b"nonsense\r\n\r\n",), "tool_bad_response"),
        ((b"SSH-2.0-OpenSSH_9.2\r\n",), "tool_bad_response"),
        ((OK + b"content-length: 100\r\n\r\n{",), "tool_bad_response"),
        ((OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n",), "tool_bad_response"),
        ((OK + b"content-length: -1\r\n\r\n{}",), "tool_bad_response"),
        ((OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}",), "tool_bad_response"),
        ((OK + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",), "tool_bad_response"),
        ((OK + b"x: " + b"a" * 200_000 + b"\r\n\r\n{}",), "tool_bad_response"),
        ((OK + b"x: 1\r\n" * 50_000 + b"\r\n{}",), "tool_bad_response"),
    ],
)
def test_broken_http_is_a_bad_response(pieces: tuple[bytes, ...], code: str) -> None:
    output, _ = ask(raw(*pieces))
    assert refused(output) == code


def test_a_reset_in_mid_answer_is_unavailable() -> None:
    async def reset(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"content-length: 100\r\n\r\n{")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER of 0: a reset
        writer.transport.abort()

    output, _ = ask(reset)
    assert refused(output) == "tool_unavailable"
    assert output.may_have_acted is True


def test_nobody_there_is_unavailable_and_nothing_was_done() -> None:
    async def run() -> ToolOutput:
        async with service(answer()) as at:
            url = at.url()
        return await HttpTool(url).call({}, call_id="c", guard=LOOPBACK)

    output = asyncio.run(run())
    assert refused(output) == "tool_unavailable"
    assert output.may_have_acted is False


SLOW: list[Reply] = [
    raw(b"", pause=30),
    raw(OK + b"content-length: 100\r\n\r\n{", pause=30),
    raw(OK, *[b"x: 1\r\n"] * 1000, pause=0.02),
    raw(OK + b"content-length: 1000\r\n\r\n", *[b" "] * 1000, pause=0.02),
    raw(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 1000, pause=0.02),
]


@pytest.mark.parametrize("reply", SLOW, ids=["silent", "hung", "headers", "drip", "continue"])
def test_the_time_limit_is_for_the_whole_call(reply: Reply) -> None:
    started = time.monotonic()
    output, _ = ask(reply, timeout_seconds=0.4)
    assert refused(output) == "tool_timeout"
    assert time.monotonic() - started < 2
    assert output.may_have_acted is True


def test_redirects_do_not_renew_the_time_limit() -> None:
    async def slowly(request: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        await redirect("/again")(request, writer)

    output, at = ask(slowly, method="GET", timeout_seconds=0.5, max_redirects=20)
    assert refused(output) == "tool_timeout"
    assert len(at.requests) <= 3


def test_a_name_server_that_stays_silent_is_a_timeout() -> None:
    async def silent(host: str, port: int) -> list[str]:
        await asyncio.sleep(30)
        return []

    output = asyncio.run(
        HttpTool("http://x.example/", timeout_seconds=0.2).call({}, call_id="c", guard=Guard(resolver=silent))
    )
    assert refused(output) == "tool_timeout"
    assert output.may_have_acted is False


def test_cancelling_ends_the_request_at_once() -> None:
    async def run() -> float:
        async with service(raw(b"", pause=30)) as at:
            call = asyncio.ensure_future(HttpTool(at.url()).call({}, call_id="c", guard=LOOPBACK))
            while not at.requests:
                await asyncio.sleep(0.01)
            started = time.monotonic()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.wait_for(at.left.wait(), 2)  # the service sees us go
            return time.monotonic() - started

    assert asyncio.run(run()) < 1


async def endless(_request: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"\r\n")
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


def test_an_answer_has_a_size_limit() -> None:
    exact = json.dumps("x" * 998).encode()
    output, _ = ask(answer(exact), max_response_bytes=1000)
    assert not output.is_error
    output, _ = ask(answer(exact + b" "), max_response_bytes=1000)
    assert refused(output) == "tool_too_large"
    started = time.monotonic()
    output, _ = ask(endless)
    assert refused(output) == "tool_too_large"
    output, _ = ask(answer(b"x" * 500_000, status=500))
    assert refused(output) == "tool_too_large"
    assert time.monotonic() - started < 3


def test_compressed_answers_are_read() -> None:
    packed = gzip.compress(b'{"a": 1}')
    output, _ = ask(answer(packed, headers={"content-encoding": "gzip"}))
    assert output.content == {"a": 1}


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
def test_a_decompression_bomb_goes_off_in_vain(encoding: str) -> None:
    import tracemalloc

    bomb = gzip.compress(b" " * 200_000_000, 9)  # 200 MB in 194 kB
    if "," in encoding:
        bomb = gzip.compress(bomb, 9)
    assert len(bomb) < 256 * 1024
    tracemalloc.start()
    started = time.monotonic()
    output, _ = ask(answer(bomb, headers={"content-encoding": encoding}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused(output) == "tool_too_large"
    assert time.monotonic() - started < 2
    assert peak < 10_000_000


def test_compressed_nothing_without_end_is_too_large() -> None:
    """Empty deflate blocks: as many bytes as the service likes, and none once decompressed."""

    async def empty(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10])
        while True:
            writer.write(b"\x00\x00\x00\xff\xff" * 1000)
            await writer.drain()

    started = time.monotonic()
    output, _ = ask(empty, timeout_seconds=10)
    assert refused(output) == "tool_too_large"
    assert time.monotonic() - started < 5


def test_importing_the_callers_loads_nothing_heavy() -> None:
    """They are imported by the web processes too, which call no tool."""
    script = """
import sys
from threadhub.agents.tools import arguments, errors, guard, http_tool, mcp_tool
heavy = {"httpx2", "httpcore2", "jsonschema", "pydantic", "pydantic_core", "mcp", "anyio", "django"}
print(sorted(heavy & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_many_encodings_are_a_bad_response() -> None:
    output, _ = ask(answer(b"x", headers={"content-encoding": ", ".join(["gzip"] * 50)}))
    assert refused(output) == "tool_bad_response"


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
@pytest.mark.parametrize("status", [200, 500])
def test_an_echoed_secret_is_hidden(kind: str, status: int) -> None:
    async def echo(request: Received, writer: asyncio.StreamWriter) -> None:
        given = request.headers["authorization"]
        body = json.dumps({given: [given, f"x{given.partition(' ')[2]}y", {"k": given}]}).encode()
        await answer(body, kind=kind, status=status, headers={"x-echo": given})(request, writer)

    output, _ = ask(echo, secret_headers={"Authorization": SECRET})
    assert "sesame" not in repr(output)
    assert "[hidden]" in repr(output)


def test_an_escaped_echo_is_hidden_too() -> None:
    escaped = "".join(f"\\u{ord(character):04x}" for character in SECRET)
    output, _ = ask(answer(f'["{escaped}"]'.encode()), secret_headers={"Authorization": SECRET})
    assert output.content == ["[hidden]"]


def test_no_log_no_repr_and_no_error_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    async def echo(request: Received, writer: asyncio.StreamWriter) -> None:
        given = request.headers["authorization"]
        await answer(b"{" + given.encode(), headers={"x-echo": given, "location": f"/{given}"})(request, writer)

    with caplog.at_level(logging.DEBUG):
        output, _ = ask(echo, {"city": "Vigo"}, secret_headers={"Authorization": SECRET}, method="GET")
    assert refused(output) == "tool_bad_response"
    assert any(record.name.startswith("httpcore2") for record in caplog.records)  # they do log at this level
    assert "sesame" not in caplog.text + repr(output)
    assert "sesame" not in repr(HttpTool("https://x.example/", secret_headers={"Authorization": SECRET}))
    with pytest.raises(Invalid) as caught:
        HttpTool("https://x.example/", secret_headers={"Authorization": f"{SECRET}\n"})
    assert "sesame" not in repr(caught.value) + repr(caught.value.errors)
