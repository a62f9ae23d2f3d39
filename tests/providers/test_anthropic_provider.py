"""The provider `anthropic`, against a fake of its service."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from tests.fakes.openai_server import Action, End, FakeOpenAI, Hang, Reply, Reset, Send, actions, status
from tests.providers.asking import ask, request
from threadhub.agents.events import ToolCall, Usage
from threadhub.agents.providers import ContextMessage, Provider, ProviderSettings, ToolSpec, get

pytestmark = pytest.mark.skipif(
    find_spec("anthropic") is None, reason="needs pip install -r threadhub/extras/anthropic.txt"
)


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


def provider(server: FakeOpenAI) -> Provider:
    url = server.base_url.removesuffix("/v1")
    return get("anthropic", settings=ProviderSettings(anthropic_api_key="sk-ant-test", anthropic_base_url=url))


def part(kind: str, **more: Any) -> Send:
    return Send(f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode())


def begin() -> Send:
    counted = {"input_tokens": 11, "output_tokens": 1, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-5-5", "content": []}
    return part("message_start", message={**message, "stop_reason": None, "stop_sequence": None, "usage": counted})


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[Action]:
    return [
        part("content_block_start", index=index, content_block=start),
        *(part("content_block_delta", index=index, delta=delta) for delta in deltas),
        part("content_block_stop", index=index),
    ]


def text(index: int, *pieces: str) -> list[Action]:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def end(reason: str) -> list[Action]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [part("message_delta", delta=delta, usage={"output_tokens": 9}), part("message_stop"), End()]


def test_it_passes_the_answer_on(server: FakeOpenAI) -> None:
    server.will(actions(begin(), *text(0, "Hel", "lo"), *end("end_turn")))
    said = ask(provider(server), request("hi"))
    assert (said.pieces, said.reason) == (["Hel", "lo"], "stop")
    assert said.usage == Usage(input_tokens=15, output_tokens=9, cached_tokens=4)


def test_it_sends_the_thread_with_its_tools(server: FakeOpenAI) -> None:
    call = ToolCall("toolu_1", "now", {"zone": "UTC"})
    thread = (
        ContextMessage("user", "first"),
        ContextMessage("assistant", "Let me look.", tool_calls=(call,)),
        ContextMessage("tool", "noon", tool_call_id="toolu_1", tool_name="now"),
        ContextMessage("user", "second"),
    )
    tools = (ToolSpec("now", "The time.", {"type": "object", "properties": {"zone": {"type": "string"}}}),)
    server.will(actions(begin(), *text(0, "ok"), *end("end_turn")))
    ask(provider(server), request(*thread, instructions="Be kind.", tools=tools, max_output_tokens=99))
    (sent,) = server.requests
    assert sent.path.partition("?")[0] == "/v1/messages"
    assert "sk-ant-test" in str(sent.headers)
    assert (sent.body["system"], sent.body["max_tokens"]) == ("Be kind.", 99)
    assert [tool["name"] for tool in sent.body["tools"]] == ["now"]
    use = {"id": "toolu_1", "type": "tool_use", "name": "now", "input": {"zone": "UTC"}}
    noon = [{"type": "text", "text": "noon"}]
    result = {"tool_use_id": "toolu_1", "type": "tool_result", "content": noon, "is_error": False}
    assert sent.body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "first"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Let me look."}, use]},
        {"role": "user", "content": [result, {"type": "text", "text": "second"}]},
    ]


def test_it_gives_complete_tool_calls(server: FakeOpenAI) -> None:
    pieces = ('{"zo', 'ne": "U', 'TC"}')
    start = {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}}
    use = block(1, start, *({"type": "input_json_delta", "partial_json": piece} for piece in pieces))
    server.will(actions(begin(), *text(0, "Let me look."), *use, *end("tool_use")))
    said = ask(provider(server), request("hi"))
    assert said.calls == [ToolCall("toolu_1", "now", {"zone": "UTC"})]
    assert (said.text, said.reason) == ("Let me look.", "tool_calls")


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (status(401), "provider_unauthorized"),
        (status(429, retry_after=2), "provider_rate_limited"),
        (status(529), "provider_unavailable"),
        (status(400), "provider_request_invalid"),
        (actions(begin(), *text(0, "Hello"), Reset()), "provider_unavailable"),
        (actions(begin(), *text(0, "Hello"), End()), "provider_bad_response"),
        (actions(begin(), Send(b"data: {broken\n\n"), End()), "provider_bad_response"),
        (actions(begin(), Hang()), "provider_timeout"),
        (actions(begin(), part("error", error={"type": "overloaded_error", "message": "x"})), "provider_unavailable"),
    ],
    ids=["401", "429", "529", "400", "reset", "no end", "broken JSON", "silence", "overloaded in the stream"],
)
def test_each_fault_has_its_code(server: FakeOpenAI, reply: Reply, code: str) -> None:
    server.will(reply)
    said = ask(provider(server), request("hi", timeout_seconds=1.0))
    assert said.code == code
    assert len(server.requests) == 1, "the provider itself must not try again"
