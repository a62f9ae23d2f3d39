"""POST /api/ai/{integration}/chat-completion[/{thread}], answered as server-sent events"""

from typing import Any

import pytest

from tests.api.ai.conftest import chat_path, chunks_of, new_thread, read, said, spoken, streamed
from tests.conftest import Api, Tenant


def chunks(api: Api, tenant: Tenant, thread_id: str | None, question: str, **options: Any) -> list[dict[str, Any]]:
    return chunks_of(streamed(api, chat_path(tenant, thread_id), said(question, **options)))


@pytest.mark.usefixtures("worker")
def test_every_chunk_has_both_forms(api: Api, tenant: Tenant) -> None:
    *words, done = chunks(api, tenant, None, "Ünïcode ✓ 🙂")
    assert "".join(chunk["content"] for chunk in words) == "You said: Ünïcode ✓ 🙂"
    for chunk in words:
        assert chunk["type"] == "chunk"
        assert chunk["choices"] == [{"index": 0, "delta": {"content": chunk["content"]}, "finish_reason": None}]
    assert done["type"] == "done"
    assert "content" not in done
    assert done["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert done["usage"] == {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
    for chunk in (*words, done):
        assert chunk["object"] == "chat.completion.chunk"
        assert (chunk["id"], chunk["created"], chunk["model"]) == (done["id"], done["created"], "echo")
    assert done["id"].startswith("chatcmpl-")


@pytest.mark.usefixtures("worker")
def test_what_was_streamed_is_in_the_thread(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    *words, _ = chunks(api, tenant, thread_id, "Hello")
    said_there = spoken(api, thread_id)
    assert said_there == [("user", "Hello"), ("assistant", "".join(chunk["content"] for chunk in words))]


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize(
    ("query", "accept", "is_stream"),
    [
        ("", "text/event-stream", True),
        ("", "application/json, text/event-stream;q=0.5", True),
        ("?stream=true", "*/*", True),
        ("?stream=True", "application/json", True),
        ("?stream=false", "*/*", False),
        ("?stream=undefined", "application/json", False),
        ("", "text/html", False),
    ],
)
def test_a_stream_is_asked_for_by_accept_or_query(
    api: Api, tenant: Tenant, query: str, accept: str, is_stream: bool
) -> None:
    response = api.post(chat_path(tenant) + query, said("Hi"), headers={"Accept": accept})
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/event-stream" if is_stream else "application/json")
    assert "no-cache" in response["Cache-Control"]
    if is_stream:
        assert read(response).endswith(b"\n\ndata: [DONE]\n\n")


@pytest.mark.usefixtures("worker")
def test_tools_of_the_agent_are_told_as_they_run(api: Api, tenant: Tenant) -> None:
    told = chunks(api, tenant, None, '/tool current_time {"zone": "Europe/Madrid"}')
    executing, executed = [chunk for chunk in told if chunk["type"].startswith("function_")]
    assert (executing["type"], executed["type"]) == ("function_executing", "function_executed")
    assert executing["functionCall"]["function"] == {
        "name": "current_time",
        "arguments": '{"zone":"Europe/Madrid"}',
    }
    assert executed["functionCall"] == executing["functionCall"]
    assert executed["result"]["zone"] == "Europe/Madrid"
    assert (told[-1]["type"], told[-1]["choices"][0]["finish_reason"]) == ("done", "stop")
    failed = chunks(api, tenant, None, '/tool current_time {"zone": "Nowhere"}')
    assert "function_failed" in [chunk["type"] for chunk in failed]


@pytest.mark.usefixtures("worker")
def test_a_failure_on_the_way_is_a_chunk_without_choices(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    *words, error = chunks(api, tenant, thread_id, "/fail provider_unauthorized 2\none two three")
    assert "".join(chunk["content"] for chunk in words) == "You said: "
    assert (error["type"], error["code"]) == ("error", "provider_unauthorized")
    assert error["message"]
    assert "choices" not in error
    assert (spoken(api, thread_id))[-1] == ("assistant", "You said: ")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/ai/nonsense/chat-completion?stream=true", 404),
        ("{chat}/nonsense?stream=true", 404),
        ("{chat}?stream=true&x=", 400),
    ],
)
def test_a_refusal_has_a_status_and_no_stream(api: Api, tenant: Tenant, path: str, status: int) -> None:
    body = {} if status == 400 else said("Hi")
    response = api.post(path.format(chat=chat_path(tenant)), body, headers={"Accept": "text/event-stream"})
    assert (response.status_code, response["Content-Type"]) == (status, "application/json")
    assert response.json()["message"]
