"""The bytes of an answer in both dialects: every stream passes its strict reader, and arrives while it is made."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.clients.ai_answers import answer_of, text_of
from tests.clients.plai_stream import Answer, StrictReader, read
from tests.hub import Hub

# Six words, the first at once, then one every fifth of a second: about a second from the first to the last.
SLOW = "/slow 0.2\none two three four"
NAMES = ["message_start", "content_block_start", "content_block_delta", "content_block_stop"]
ENDING = ["message_id", "usage", "message_stop"]


@pytest.fixture(params=["the agent's route", "the thread's route", "the session's route, its own token", "and a key"])
def place(request: pytest.FixtureRequest, hub: Hub) -> tuple[str, str]:
    """Where a `rest` client may invoke a thread: (path of the thread's invoke, token)."""
    body = {"agent_id": hub.agent_id, "external_ref": f"visitor_{uuid4()}"}
    session = hub.post("/chat_sessions", json=body).json()
    thread_id = session["thread_id"]
    if request.param == "the agent's route":
        return f"/agents/{hub.agent_id}/threads/{thread_id}/invoke", hub.api_key
    if request.param == "the thread's route":
        return f"/threads/{thread_id}/invoke", hub.api_key
    token = hub.api_key if request.param == "and a key" else session["chat_token"]
    return f"/chat_sessions/{session['id']}/threads/{thread_id}/invoke", token


@pytest.fixture
def invoke_path(hub: Hub) -> str:
    thread_id = hub.post(f"/agents/{hub.agent_id}/threads", json={}).json()["id"]
    return f"/agents/{hub.agent_id}/threads/{thread_id}/invoke"


def check_stream(response: httpx.Response) -> None:
    """A stream that no proxy on the way may keep or reshape."""
    assert response.status_code == 200
    assert response.headers["content-type"].partition(";")[0] == "text/event-stream"
    assert "no-cache" in response.headers["cache-control"]
    assert "content-length" not in response.headers
    assert "content-encoding" not in response.headers


def invoke(hub: Hub, path: str, prompt: str, token: str | None = None) -> Answer:
    with hub.stream(path, json={"prompt": prompt}, token=token) as response:
        check_stream(response)
        return read(response.iter_bytes())


def test_a_rest_stream_is_what_the_strict_reader_wants(hub: Hub, place: tuple[str, str]) -> None:
    path, token = place
    answer = invoke(hub, path, "Ünïcode ✓ 🙂\nand a second line", token)
    assert answer.text == "You said: Ünïcode ✓ 🙂\nand a second line"
    assert answer.names == NAMES + ENDING
    assert answer.usage is not None
    assert answer.usage["output_tokens"] > 0
    thread = hub.get(path.removesuffix("/invoke"), token=token).json()
    assert [(message["id"], message["content"]) for message in thread["messages"]][-1] == (
        answer.message_id,
        answer.text,
    )


def test_a_rest_answer_as_json(hub: Hub, place: tuple[str, str]) -> None:
    path, token = place
    for headers in ({}, {"accept": "application/json"}, {"accept": "*/*"}):
        response = hub.post(path, json={"prompt": "As JSON"}, token=token, headers=headers)
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("application/json")
        answer = response.json()
        assert {"success", "error", "data", "message_id", "thread_id"} <= answer.keys()
        assert (answer["success"], answer["error"]) == (True, None)
        assert "You said: As JSON" in json.dumps(answer["data"])
    thread = hub.get(path.removesuffix("/invoke"), token=token).json()
    assert len(thread["messages"]) == 6
    assert (thread["id"], thread["messages"][-1]["id"]) == (answer["thread_id"], answer["message_id"])


def test_rest_words_arrive_one_by_one(hub: Hub, invoke_path: str) -> None:
    reader, arrivals = StrictReader(), []
    with hub.stream(invoke_path, json={"prompt": SLOW}) as response:
        for data in response.iter_raw():
            arrivals += [(event.type, time.monotonic()) for event in reader.feed(data)]
    assert reader.close().text == "You said: one two three four"
    deltas = [at for name, at in arrivals if name == "content_block_delta"]
    assert len(deltas) == 6
    assert deltas[-1] - deltas[0] > 0.5
    assert arrivals[0][0] == "message_start"
    assert arrivals[0][1] < deltas[-1] - 0.5


def test_a_rest_stream_shows_a_tool_call_and_its_result(hub: Hub, invoke_path: str) -> None:
    answer = invoke(hub, invoke_path, '/tool current_time {"zone": "Europe/Madrid"}')
    (use,) = [block.start for block in answer.blocks if block.type == "tool_use"]
    assert (use["name"], use["input"]) == ("current_time", {"zone": "Europe/Madrid"})
    result = answer.tool_results[use["id"]]
    assert result["is_error"] is False
    assert "Europe/Madrid" in json.dumps(result["content"])
    assert "Europe/Madrid" in answer.text
    assert answer.names[-3:] == ENDING
    as_json = hub.post(invoke_path, json={"prompt": '/tool current_time {"zone": "Europe/Madrid"}'}).json()
    assert "current_time" in json.dumps(as_json["data"])


def test_many_streams_at_once_are_each_in_order(hub: Hub) -> None:
    def ask(_: int) -> str:
        thread_id = hub.post(f"/agents/{hub.agent_id}/threads", json={}).json()["id"]
        return invoke(hub, f"/threads/{thread_id}/invoke", "/tool current_time {}").text

    # A run's batches that are stored side by side, and so in any order, show in about one stream of twenty.
    with ThreadPoolExecutor(8) as pool:
        assert all(text.startswith("current_time: ") for text in pool.map(ask, range(60)))


def test_a_tool_that_is_not_enabled_is_refused_in_the_stream(hub: Hub, invoke_path: str) -> None:
    body = {"prompt": "/tool current_time {}", "enabled_tools": ["web_search"]}
    with hub.stream(invoke_path, json=body) as response:
        answer = read(response.iter_bytes())
    assert [result["is_error"] for result in answer.tool_results.values()] == [True]
    assert answer.error is None


def test_a_failure_after_the_first_words_ends_the_rest_stream_in_order(hub: Hub, invoke_path: str) -> None:
    answer = invoke(hub, invoke_path, "/fail provider_unavailable 2\none two three")
    assert answer.error is not None
    assert answer.error["type"] == "llm_error"
    assert answer.text.split() == ["You", "said:"]
    assert answer.names[-2:] == ["error", "message_stop"]
    too_long = invoke(hub, invoke_path, "/fail context_length_exceeded")
    assert too_long.error is not None
    assert too_long.error["type"] == "context_length_exceeded"
    assert invoke(hub, invoke_path, "The thread goes on").text == "You said: The thread goes on"


def test_refusals_have_a_status_and_no_stream(hub: Hub, invoke_path: str) -> None:
    for path, body, status in (
        (invoke_path, {}, 422),
        (f"{invoke_path.rpartition('/threads/')[0]}/threads/thread_456/invoke", {"prompt": "Hi"}, 404),
        ("/api/ai/nonsense/chat-completion?stream=true", {"messages": [{"role": "user", "content": "Hi"}]}, 404),
    ):
        with hub.stream(path, json=body) as response:
            assert response.status_code == status
            assert "json" in response.headers["content-type"]
            assert json.loads(response.read())


def ai_chat_path(hub: Hub) -> str:
    thread_id = hub.post("/api/ai/threads", json={"integration": hub.agent_id}).json()["_id"]
    return f"/api/ai/{hub.agent_id}/chat-completion/{thread_id}"


def user(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def ai_chunks(body: bytes) -> list[dict[str, Any]]:
    """The chunks of an `ai` stream, once its bytes are: `data: ` lines and comments, `[DONE]` last, nothing after."""
    *frames, last = body.decode().split("\n\n")
    assert last == ""
    assert frames[-1] == "data: [DONE]"
    assert all("\n" not in frame and frame.startswith(("data: {", ":")) for frame in frames[:-1])
    return [json.loads(frame.removeprefix("data: ")) for frame in frames[:-1] if not frame.startswith(":")]


@pytest.mark.parametrize(
    ("query", "accept"),
    [("?stream=true", "*/*"), ("", "text/event-stream"), ("?stream=true", "text/event-stream")],
    ids=["by query", "by Accept", "by both"],
)
def test_an_ai_stream_carries_both_forms_and_ends(hub: Hub, query: str, accept: str) -> None:
    path = ai_chat_path(hub)
    with hub.stream(path + query, json=user("Ünïcode ✓ 🙂"), headers={"accept": accept}) as response:
        check_stream(response)
        chunks = ai_chunks(response.read())
    assert text_of(chunks) == "You said: Ünïcode ✓ 🙂"
    for chunk in chunks:
        assert chunk["object"] == "chat.completion.chunk"
        assert isinstance(chunk["created"], int)
        assert [choice["index"] for choice in chunk["choices"]] == [0]
    assert len({chunk["id"] for chunk in chunks}) == len({chunk["model"] for chunk in chunks}) == 1


def test_ai_words_arrive_one_by_one(hub: Hub) -> None:
    def arrivals(response: httpx.Response) -> Iterator[float]:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                yield time.monotonic()

    with hub.stream(ai_chat_path(hub) + "?stream=true", json=user(SLOW)) as response:
        times = list(arrivals(response))
    assert len(times) >= 7
    assert times[-1] - times[0] > 0.5


def test_an_ai_answer_as_json_ignores_stream_in_the_body(hub: Hub) -> None:
    response = hub.post(ai_chat_path(hub), json={**user("As JSON"), "stream": True})
    assert response.headers["content-type"].startswith("application/json")
    assert answer_of(response.json()) == "You said: As JSON"


def test_a_failure_ends_the_ai_stream_too(hub: Hub) -> None:
    path = ai_chat_path(hub) + "?stream=true"
    with hub.stream(path, json=user("/fail provider_unavailable 2\none two three")) as response:
        chunks = ai_chunks(response.read())
    assert "".join(chunk["content"] for chunk in chunks if chunk["type"] == "chunk") == "You said: "
    (error,) = [chunk for chunk in chunks if chunk["type"] == "error"]
    assert error["message"]
    assert "choices" not in error
