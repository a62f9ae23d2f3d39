"""Every fault of a model service has a stable code, and what was said before it is not lost."""

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from tests.fakes.openai_server import (
    DONE,
    Action,
    End,
    FakeOpenAI,
    Flood,
    Hang,
    Reply,
    Reset,
    Send,
    Wait,
    actions,
    answer,
    chunk,
    event,
    status,
    tool_calls,
)
from tests.providers.asking import Said, ask, compatible, listen, request
from threadhub.agents.events import ProviderEvent
from threadhub.agents.providers import http_client

SECRET = "sk-very-secret-0123456789"
HELLO = chunk({"role": "assistant", "content": "Hello"})


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


def ask_once(server: FakeOpenAI, reply: Reply, timeout: float = 20.0) -> Said:
    server.will(reply)
    said = ask(compatible(server.base_url, openai_api_key=SECRET), request("hi", timeout_seconds=timeout))
    assert len(server.requests) == 1, "the provider itself must not try again"
    return said


STATUSES = {
    400: "provider_request_invalid",
    401: "provider_unauthorized",
    402: "provider_rate_limited",
    403: "provider_unauthorized",
    404: "provider_request_invalid",
    408: "provider_timeout",
    409: "provider_unavailable",
    413: "provider_request_invalid",
    418: "provider_request_invalid",
    422: "provider_request_invalid",
    429: "provider_rate_limited",
    500: "provider_unavailable",
    502: "provider_unavailable",
    503: "provider_unavailable",
    504: "provider_unavailable",
    529: "provider_unavailable",
}
RETRYABLE = {408, 409, 429, 500, 502, 503, 504, 529}


@pytest.mark.parametrize("code", sorted(STATUSES))
def test_each_status_has_its_code(server: FakeOpenAI, code: int) -> None:
    said = ask_once(server, status(code))
    assert (said.code, said.events) == (STATUSES[code], ())
    assert said.error is not None
    assert said.error.retryable is (code in RETRYABLE)


def test_a_rate_limit_says_how_long_to_wait(server: FakeOpenAI) -> None:
    said = ask_once(server, status(429, retry_after=7))
    assert said.error is not None
    assert (said.error.retry_after, said.error.retryable) == (7, True)


@pytest.mark.parametrize(
    ("sent", "kept"), [("-5", None), ("999999999", 3600), ("soon", None), ("inf", None), ("nan", None)]
)
def test_no_server_makes_us_wait_for_ever(server: FakeOpenAI, sent: str, kept: float | None) -> None:
    headers = (("content-type", "application/json"), ("retry-after", sent))
    said = ask_once(server, Reply((Send(b"{}"), End()), status=429, headers=headers))
    assert said.error is not None
    assert said.error.retry_after == kept


def test_a_used_up_quota_is_not_tried_again(server: FakeOpenAI) -> None:
    said = ask_once(server, status(429, error={"code": "insufficient_quota", "message": "pay"}))
    assert said.error is not None
    assert (said.code, said.error.retryable) == ("provider_rate_limited", False)


@pytest.mark.parametrize(
    "error",
    [
        {"code": "context_length_exceeded", "message": "too long"},
        {"message": "This model's maximum context length is 4096 tokens."},
        {"code": 400, "type": "exceed_context_size_error", "message": "request (9031 tokens) exceeds"},
    ],
)
def test_a_thread_that_is_too_long_has_its_own_code(server: FakeOpenAI, error: dict[str, object]) -> None:
    assert ask_once(server, status(400, error=error)).code == "context_length_exceeded"


@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation"])
def test_refused_content_has_its_own_code(server: FakeOpenAI, code: str) -> None:
    assert ask_once(server, status(400, error={"code": code, "message": "no"})).code == "provider_refused"


def test_an_error_page_is_as_good_as_an_error(server: FakeOpenAI) -> None:
    assert ask_once(server, status(502, body=b"<html>\xff bad gateway")).code == "provider_unavailable"


def test_a_redirect_is_not_followed(server: FakeOpenAI) -> None:
    with FakeOpenAI() as elsewhere:
        away = Reply((End(),), status=307, headers=(("location", elsewhere.base_url + "/chat/completions"),))
        assert ask_once(server, away).code == "provider_bad_response"
        assert elsewhere.requests == []


def test_nobody_there_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connecting is refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        said = ask(compatible(url), request("hi"))
    assert (said.code, said.events) == ("provider_unavailable", ())


BROKEN: dict[str, tuple[tuple[Action, ...], str]] = {
    "reset": ((HELLO, Reset()), "provider_unavailable"),
    "closed within the body": ((HELLO,), "provider_unavailable"),
    "no end": ((HELLO, End()), "provider_bad_response"),
    "no finish reason": ((HELLO, DONE, End()), "provider_bad_response"),
    "broken JSON": ((HELLO, event('{"choices": [{'), End()), "provider_bad_response"),
    "invalid UTF-8": ((HELLO, Send(b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n'), End()),
                      "provider_bad_response"),
    "JSON that is a number": ((HELLO, event("42"), End()), "provider_bad_response"),
    "JSON that is null": ((HELLO, event("null"), End()), "provider_bad_response"),
    "JSON that is a list": ((HELLO, event("[1]"), End()), "provider_bad_response"),
    "choices that are text": ((HELLO, event({"choices": "abc"}), End()), "provider_bad_response"),
    "choices that are numbers": ((HELLO, event({"choices": [1]}), End()), "provider_bad_response"),
    "a delta that is text": ((HELLO, event({"choices": [{"index": 0, "delta": "x"}]}), End()),
                             "provider_bad_response"),
    "JSON too deep": ((HELLO, event("[" * 200_000), End()), "provider_bad_response"),
    "a time beyond time": ((HELLO, event('{"choices":[],"created":1e400}'), End()), "provider_bad_response"),
    "an error in the stream": ((HELLO, event({"error": {"message": "boom"}}), End()), "provider_unavailable"),
    "a rate limit in the stream": ((HELLO, event({"error": {"code": "rate_limit_exceeded", "message": ""}}), End()),
                                   "provider_rate_limited"),
}  # fmt: skip


@pytest.mark.parametrize("fault", sorted(BROKEN))
def test_each_broken_stream_has_its_code(server: FakeOpenAI, fault: str) -> None:
    steps, code = BROKEN[fault]
    said = ask_once(server, actions(*steps))
    assert (said.text, said.code) == ("Hello", code)


NO_STREAMS = {
    "nothing": ("text/event-stream", b""),
    "a web page": ("text/html", b"<html>Welcome</html>"),
    "an answer that does not stream": ("application/json", b'{"choices":[{"message":{"content":"hi"}}]}'),
}


@pytest.mark.parametrize("kind", sorted(NO_STREAMS))
def test_what_is_no_stream_is_a_bad_response(server: FakeOpenAI, kind: str) -> None:
    media_type, body = NO_STREAMS[kind]
    steps = (Send(body), End()) if body else (End(),)
    assert ask_once(server, Reply(steps, headers=(("content-type", media_type),))).code == "provider_bad_response"


LOOSE_JSON = [
    '{"a": ',
    "[1]",
    '"text"',
    '{"a": NaN}',
    '{"a": 1, "a": 2}',
    r'{"a": "\u0000"}',
    r'{"\ud800": 1}',
    '{"a": 1} and more',
    '{"a":' * 100 + "1" + "}" * 100,
]


@pytest.mark.parametrize("arguments", LOOSE_JSON)
def test_tool_arguments_that_are_not_strict_json_are_a_bad_response(server: FakeOpenAI, arguments: str) -> None:
    said = ask_once(server, tool_calls(("call_a", "weather", arguments)))
    assert (said.code, said.calls) == ("provider_bad_response", [])


def test_two_tool_calls_under_one_id_are_a_bad_response(server: FakeOpenAI) -> None:
    said = ask_once(server, tool_calls(("call_a", "weather", {}), ("call_a", "now", {})))
    assert said.code == "provider_bad_response"


def test_tools_asked_for_but_not_named_are_a_bad_response(server: FakeOpenAI) -> None:
    assert ask_once(server, answer("hm", finish="tool_calls")).code == "provider_bad_response"


@pytest.mark.parametrize(
    "steps",
    [(Hang(),), (HELLO, Hang()), (HELLO, Flood(b": still there\n\n" * 100))],
    ids=["before the first piece", "between pieces", "with comments only"],
)
def test_silence_is_a_timeout(server: FakeOpenAI, steps: tuple[Action, ...]) -> None:
    began = time.monotonic()
    said = ask_once(server, actions(*steps), timeout=0.5)
    assert said.code == "provider_timeout"
    assert 0.4 < time.monotonic() - began < 5
    server.wait_for_leaving()


def test_a_slow_answer_is_not_silence(server: FakeOpenAI) -> None:
    pieces = [step for _ in range(8) for step in (Wait(0.1), chunk({"content": "x"}))]
    said = ask_once(server, actions(*pieces, chunk(finish="stop"), DONE, End()), timeout=0.5)
    assert said.text == "x" * 8


@pytest.mark.parametrize("flood", [chunk({"content": "x" * 30_000}).data, b"x" * 65_536], ids=["text", "one line"])
def test_endless_output_is_ended(server: FakeOpenAI, flood: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "MAX_RESPONSE_BYTES", 4 * 1024 * 1024)
    said = ask_once(server, actions(HELLO, Flood(flood)), timeout=60)
    assert said.code == "provider_bad_response"
    assert len(said.text) <= 1024 * 1024
    server.wait_for_leaving()


def test_what_is_shown_holds_no_secret(server: FakeOpenAI) -> None:
    """Services like to repeat the key they were sent, and a base URL may hold credentials."""
    server.will(status(401, error={"message": f"Incorrect API key provided: {SECRET}", "code": "invalid_api_key"}))
    url = server.base_url.replace("http://", "http://name:hunter2@")
    said = ask(compatible(url, openai_api_key=SECRET), request("hi"))
    assert said.code == "provider_unauthorized"
    shown = f"{said.error} {said.error!r} {said.error.message if said.error else ''}"
    assert SECRET not in shown
    assert "hunter2" not in shown
    assert "127.0.0.1" not in shown


def test_leaving_closes_the_connection_at_once(server: FakeOpenAI) -> None:
    server.will(actions(HELLO, Hang()))

    async def leave() -> None:
        stream = compatible(server.base_url).stream(request("hi"))
        await anext(stream)
        await stream.aclose()
        await asyncio.to_thread(server.wait_for_leaving, 1, 2.0)

    asyncio.run(leave())


@pytest.mark.parametrize("steps", [(Hang(),), (HELLO, Hang())], ids=["before the first piece", "between pieces"])
def test_cancelling_closes_the_connection_at_once(server: FakeOpenAI, steps: tuple[Action, ...]) -> None:
    server.will(actions(*steps))

    async def cancel() -> None:
        task = asyncio.create_task(listen(compatible(server.base_url), request("hi")))
        await asyncio.to_thread(server.wait_for_requests, 1)
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.to_thread(server.wait_for_leaving, 1, 2.0)

    asyncio.run(cancel())


def test_the_timeout_leaves_the_readers_own_waits_alone(server: FakeOpenAI) -> None:
    server.will(answer("one", "two"))

    async def dawdle() -> list[ProviderEvent]:
        events = []
        async for said in compatible(server.base_url).stream(request("hi", timeout_seconds=0.3)):
            events.append(said)
            await asyncio.sleep(0.2)
        return events

    assert len(asyncio.run(dawdle())) == 4
