"""What a web tool may be, and what is sent for a call."""

import asyncio
import json
from typing import Any

import pytest

from tests.tools.service import (
    LOOPBACK,
    answer,
    ask,
    refused,
    service,
)
from threadhub.agents.tools.http_tool import HttpTool
from threadhub.agents.tools.output import ToolOutput
from threadhub.lib.errors import Invalid

SECRET = "Bearer sesame-open-4711"


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
