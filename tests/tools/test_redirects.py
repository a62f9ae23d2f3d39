"""Where a service sends us: each hop passes the guard again, and secrets stay at home. Rebinding names too."""

import asyncio

import pytest

from tests.tools.service import (
    LOOPBACK,
    Received,
    Reply,
    answer,
    ask,
    naming,
    redirect,
    refused,
    service,
)
from threadhub.agents.tools.addresses import AllowedTargets
from threadhub.agents.tools.guard import Guard
from threadhub.agents.tools.http_tool import HttpTool
from threadhub.agents.tools.output import ToolOutput

SECRET = "Bearer sesame-open-4711"


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
