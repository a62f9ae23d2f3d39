"""Web services as tools: what is sent, what comes back, and what a service cannot make us do."""

import asyncio
import gzip
import json
import logging
import time
from typing import Any

import pytest

from tests.tools.service import LOOPBACK, Received, Reply, Service, answer, naming, raw, redirect, service
from threadhub.agents.tools.addresses import AllowedTargets
from threadhub.agents.tools.errors import ERRORS
from threadhub.agents.tools.guard import Guard
from threadhub.agents.tools.http_tool import HttpTool
from threadhub.agents.tools.output import ToolOutput
from threadhub.lib.errors import Invalid

SECRET = "Bearer sesame-open-4711"
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


def ask(
    reply: Reply, arguments: dict[str, Any] | None = None, *, path: str = "/", guard: Guard = LOOPBACK, **options: Any
) -> tuple[ToolOutput, Service]:
    """Call a tool at a service that answers with `reply`."""

    async def run() -> tuple[ToolOutput, Service]:
        async with service(reply) as at:
            tool = HttpTool(at.url(path), **options)
            return await tool.call(arguments or {}, call_id="call_1", guard=guard), at

    return asyncio.run(run())


def refused(output: ToolOutput) -> str | None:
    """The code of a failure, which has a sentence of its own and nothing of the service's."""
    assert output.is_error == (output.error_code is not None)
    assert not output.is_error or (output.error_code in ERRORS and output.content["error"].endswith("."))
    return output.error_code


# What is sent


def test_a_get_has_its_arguments_in_the_query() -> None:
    output, at = ask(
        answer(b'{"sky": "clear"}'),
        {"city": "A Coruña & more", "days": 3, "wind": True, "tags": ["a", "b"], "box": {"n": 1}, "none": None},
        path="/weather?units=m",
        method="GET",
    )
    assert output == ToolOutput({"sky": "clear"}, status=200)
    (request,) = at.requests
    assert request.method == "GET"
    assert request.target == (
        "/weather?units=m&city=A%20Coru%C3%B1a%20%26%20more&days=3&wind=true&tags=a&tags=b&box=%7B%22n%22%3A1%7D"
    )
    assert request.body == b""
    assert "content-type" not in request.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_other_methods_have_a_json_body(method: str) -> None:
    _, at = ask(answer(b"{}"), {"city": "Köln", "n": [1, None]}, method=method)
    assert at.requests[0].method == method
    assert json.loads(at.requests[0].body) == {"city": "Köln", "n": [1, None]}
    assert at.requests[0].headers["content-type"] == "application/json"


def test_the_call_says_who_it_is_and_can_be_told_from_another() -> None:
    _, at = ask(
        answer(b"{}"), headers={"X-Version": "2", "accept": "text/csv"}, secret_headers={"Authorization": SECRET}
    )
    headers = at.requests[0].headers
    assert headers["idempotency-key"] == "call_1"
    assert headers["user-agent"] == "threadhub"
    assert headers["accept-encoding"] == "identity"
    assert headers["x-version"] == "2"
    assert headers["accept"] == "text/csv"
    assert headers["authorization"] == SECRET
    assert headers["host"] == f"127.0.0.1:{at.port}"


def test_a_calls_id_cannot_break_out_of_its_header() -> None:
    async def run(call_id: str) -> str:
        async with service(answer(b"{}")) as at:
            output = await HttpTool(at.url()).call({}, call_id=call_id, guard=LOOPBACK)
            assert not output.is_error
            assert "evil" not in at.requests[0].headers
            return at.requests[0].headers["idempotency-key"]

    keys = [asyncio.run(run(call_id)) for call_id in ("x\r\nevil: 1", "é", "", "a" * 500, "\ud800")]
    assert all(len(key) == 64 for key in keys)
    assert len(set(keys)) == len(keys)


def test_placeholders_are_filled_and_encoded() -> None:
    arguments = {"user": "a/b?c#d&é%2e", "page": 2, "q": "x=1&y", "rest": "stays"}
    _, at = ask(answer(b"{}"), arguments, path="/u/{user}/p{page}?q={q}", method="POST")
    assert at.requests[0].target == "/u/a%2Fb%3Fc%23d%26%C3%A9%252e/p2?q=x%3D1%26y"
    assert json.loads(at.requests[0].body) == {"rest": "stays"}


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("/users/{id}", {"id": ".."}),
        ("/users/{id}/x", {"id": "."}),
        ("/users/{id}", {"id": "../admin"}),
        ("/users/{id}", {"id": "a\\..\\admin"}),
        ("/users/{id}", {"id": ""}),
        ("/users/{id}", {"id": "a\nb"}),
        ("/users/{id}", {"id": "\x00"}),
        ("/users/{a}{b}", {"a": ".", "b": "."}),
        ("/users/{a}%2e", {"a": "."}),
        ("/users/{id}", {}),
        ("/users/{id}", {"id": None}),
        ("/users/{id}", {"id": ["x"]}),
        ("/users/{id}", {"id": {"x": 1}}),
        ("/users/{id}", {"id": "\ud800"}),
        ("/users?account=1", {"account": 2}),
        ("/users?account=", {"account": 2}),
        ("/users", {"text": "\ud800"}),
        ("/users", {"text": "x" * 100_000}),
    ],
)
def test_arguments_that_lead_elsewhere_are_refused_and_nothing_is_sent(path: str, arguments: dict[str, Any]) -> None:
    output, at = ask(answer(b"{}"), arguments, path=path, method="GET")
    assert refused(output) in ("tool_arguments_invalid", "tool_address_refused")
    assert at.connections == 0
    assert output.may_have_acted is False


def test_a_body_has_a_limit() -> None:
    output, at = ask(answer(b"{}"), {"text": "x" * 1_100_000})
    assert refused(output) == "tool_arguments_invalid"
    output, at = ask(answer(b"{}"), {"number": 2**70})
    assert refused(output) == "tool_arguments_invalid"
    assert at.connections == 0


# What comes back


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


# Limits


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


def test_many_encodings_are_a_bad_response() -> None:
    output, _ = ask(answer(b"x", headers={"content-encoding": ", ".join(["gzip"] * 50)}))
    assert refused(output) == "tool_bad_response"


# Redirects


def hops(*replies: Reply) -> Reply:
    """The first reply for the first request, and so on; the last one for all others."""
    waiting = list(replies)

    async def reply(request: Received, writer: asyncio.StreamWriter) -> None:
        await (waiting.pop(0) if len(waiting) > 1 else waiting[0])(request, writer)

    return reply


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_get_follows_with_its_headers_within_its_origin(status: int) -> None:
    output, at = ask(
        hops(redirect("/there?x=1", status), answer(b'"ok"')), method="GET", secret_headers={"Authorization": SECRET}
    )
    assert output.content == "ok"
    assert [(request.method, request.target) for request in at.requests] == [("GET", "/"), ("GET", "/there?x=1")]
    assert [request.headers["authorization"] for request in at.requests] == [SECRET, SECRET]
    assert at.requests[1].headers["idempotency-key"] == "call_1"


@pytest.mark.parametrize("status", [307, 308])
def test_a_write_is_repeated_as_it_was(status: int) -> None:
    output, at = ask(hops(redirect("/there", status), answer(b'"ok"')), {"a": 1})
    assert output.content == "ok"
    assert [(request.method, request.body) for request in at.requests] == [("POST", b'{"a":1}')] * 2


def test_see_other_is_read_with_a_get() -> None:
    output, at = ask(hops(redirect("/result", 303), answer(b'"ok"')), {"a": 1})
    assert output.content == "ok"
    assert (at.requests[1].method, at.requests[1].body) == ("GET", b"")
    assert "content-type" not in at.requests[1].headers


@pytest.mark.parametrize("status", [301, 302])
def test_a_write_is_not_turned_into_a_read(status: int) -> None:
    output, at = ask(redirect("/there", status), {"a": 1})
    assert refused(output) == "tool_http_error"
    assert len(at.requests) == 1


def test_a_loop_ends() -> None:
    output, at = ask(redirect("/"), method="GET", max_redirects=3)
    assert refused(output) == "tool_http_error"
    assert len(at.requests) == 4
    output, at = ask(redirect("/"), method="GET", max_redirects=0)
    assert (refused(output), len(at.requests)) == ("tool_http_error", 1)


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::1]:{port}/",
        "http://0x0a000001/",
        "//192.168.0.1/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://user:pass@127.0.0.1:{port}/",
        "http://127.0.0.1:22/",
    ],
)
def test_a_redirect_passes_the_guard_again(location: str) -> None:
    async def reply(request: Received, writer: asyncio.StreamWriter) -> None:
        port = request.headers["host"].rpartition(":")[2]
        await redirect(location.replace("{port}", port))(request, writer)

    output, at = ask(reply, method="GET")
    assert refused(output) == "tool_address_refused"
    assert len(at.requests) == 1


@pytest.mark.parametrize("location", ["http://[", "http://a b/", "http://\x01/", "http://x.example:port/"])
def test_a_redirect_to_nonsense_is_a_fault(location: str) -> None:
    output, at = ask(redirect(location), method="GET")
    assert refused(output) in ("tool_bad_response", "tool_address_refused")
    assert len(at.requests) == 1


def test_secrets_stay_at_their_origin_and_do_not_come_back() -> None:
    """A → B → A: the path of the third request is B's choice, so it has no secrets either."""

    async def run() -> tuple[ToolOutput, list[Received], list[Received]]:
        there: list[str] = []
        async with service(lambda request, writer: redirect(there[0], 307)(request, writer)) as second:
            first_replies = hops(redirect(second.url("/b", host="other.example"), 307), answer(b'"ok"'))
            async with service(first_replies) as first:
                there.append(first.url("/back"))
                tool = HttpTool(
                    first.url(), secret_headers={"X-Key": SECRET, "Authorization": SECRET}, headers={"X-Mine": "1"}
                )
                output = await tool.call({"a": 1}, call_id="c", guard=naming("other.example"))
                return output, first.requests, second.requests

    output, first, second = asyncio.run(run())
    assert output.content == "ok"
    assert [request.headers.get("x-key") for request in (*first, *second)] == [SECRET, None, None]
    assert SECRET not in repr([first[1], second])
    assert second[0].headers.keys() & {"authorization", "x-key", "x-mine", "cookie"} == set()
    assert second[0].body == b'{"a":1}'


def test_another_port_is_another_origin() -> None:
    async def run() -> Received:
        async with service(answer(b"{}")) as second, service(redirect(second.url("/b"), 307)) as first:
            await HttpTool(first.url(), secret_headers={"X-Key": SECRET}).call({}, call_id="c", guard=LOOPBACK)
            return second.requests[0]

    assert "x-key" not in asyncio.run(run()).headers


def test_cookies_are_not_kept() -> None:
    replies = hops(answer(b"", status=302, headers={"location": "/2", "set-cookie": "a=1"}), answer(b"{}"))
    _, at = ask(replies, method="GET")
    assert "cookie" not in at.requests[1].headers


# Rebinding


def test_the_address_that_was_checked_is_the_one_that_is_called() -> None:
    """A resolver that names a permitted address first and a private one ever after: it is asked once only.

    127.0.0.9, where nobody listens, stands for a public address; the private one is where the service listens.
    """

    async def run() -> tuple[ToolOutput, int, list[str]]:
        asked: list[str] = []

        async def rebinding(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.9"] if len(asked) == 1 else ["127.0.0.1"]

        async with service(answer(b'"private"')) as at:
            guard = Guard(allowed=AllowedTargets.parse("127.0.0.9"), resolver=rebinding)
            output = await HttpTool(at.url(host="rebind.example")).call({}, call_id="c", guard=guard)
            return output, at.connections, asked

    output, connections, asked = asyncio.run(run())
    assert refused(output) == "tool_unavailable"
    assert connections == 0
    assert asked == ["rebind.example"]


def test_every_new_connection_is_checked_anew() -> None:
    """Permitted first, private second: the redirect to the same name needs a second connection, which is refused."""

    async def run() -> tuple[ToolOutput, int, int]:
        asked: list[str] = []

        async def rebinding(host: str, port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

        async with service(redirect("/again")) as at:
            tool = HttpTool(at.url(host="rebind.example"), method="GET")
            guard = Guard(allowed=AllowedTargets.parse("127.0.0.1"), resolver=rebinding)
            output = await tool.call({}, call_id="c", guard=guard)
            return output, at.connections, len(asked)

    output, connections, asked = asyncio.run(run())
    assert refused(output) == "tool_address_refused"
    assert (connections, asked) == (1, 2)


def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    output, at = ask(answer(b'"direct"'))
    assert output.content == "direct"
    assert at.requests[0].target == "/"


# Secrets


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


# Saving one


@pytest.mark.parametrize(
    "options",
    [
        {"url": "ftp://x.example/"},
        {"url": "x.example"},
        {"url": ""},
        {"url": "http:///x"},
        {"url": "https://{host}/"},
        {"url": "https://{host}.example/"},
        {"url": "https://x.example:{port}/"},
        {"url": "{scheme}://x.example/"},
        {"url": "https://user@x.example/"},
        {"url": "https://user:pass@x.example/"},
        {"url": "https://x.example/#part"},
        {"url": "https://x.example/{"},
        {"url": "https://x.example/{a b}"},
        {"url": "https://x.example/{{a}}"},
        {"url": "https://x.example:port/"},
        {"url": "https://[::1/"},
        {"method": "TRACE"},
        {"method": "get"},
        {"headers": {"Host": "internal"}},
        {"headers": {"Content-Length": "0"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"headers": {"Idempotency-Key": "x"}},
        {"headers": {"X-A": "a\r\nX-B: b"}},
        {"headers": {"X-A": ""}},
        {"headers": {"X-A": "é"}},
        {"headers": {"X A": "a"}},
        {"headers": {"": "a"}},
        {"secret_headers": {"Connection": "x"}},
        {"timeout_seconds": 0},
        {"max_response_bytes": 0},
        {"max_redirects": -1},
    ],
)
def test_a_tool_that_could_never_be_called_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        HttpTool(**{"url": "https://x.example/", **options})
    assert caught.value.errors[0]["loc"]
