"""The samples of both seeds as printed: every curl line, both functions, and the JSON with its fields and types."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.clients import node, seed_texts
from tests.clients.shapes import differences, is_time, type_name
from tests.hub import Hub

ENVELOPE = {"integer": "number", "boolean": "boolean", "array": "array"}
CURL_LINES = seed_texts.curl_lines()


@dataclass(frozen=True)
class Sample:
    """What the sample ids stand for on this hub: a thread of a chat session with two messages."""

    agent_id: str
    session_id: str
    thread_id: str


@pytest.fixture
def sample(hub: Hub) -> Sample:
    session = hub.post("/chat_sessions", json={"agent_id": hub.agent_id, "external_ref": f"visitor_{uuid4()}"}).json()
    asked = hub.post(f"/threads/{session['thread_id']}/invoke", json={"prompt": "Hello"})
    assert asked.status_code == 200, asked.text
    return Sample(hub.agent_id, session["id"], session["thread_id"])


def curl(hub: Hub, sample: Sample, number: int) -> tuple[int, Any]:
    """Run one printed curl line in a shell, with this hub's address, token and ids: (status, JSON)."""
    command = CURL_LINES[number].replace(seed_texts.REST_HOST, hub.url).replace(seed_texts.REST_TOKEN, hub.api_key)
    for printed, real in {
        "agent_123": sample.agent_id,
        "session_123": sample.session_id,
        "thread_456": sample.thread_id,
    }.items():
        command = command.replace(printed, real)
    command += " --silent --show-error --noproxy '*' --write-out '\\n%{http_code}'"
    assert shutil.which("curl"), "these tests run the printed curl lines as they are: install curl"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def without_time(value: Any) -> str:
    """The JSON type as seed 003 names it, where times are strings."""
    name = type_name(value)
    return "string" if name == "time" else name


def check_envelope(page: dict[str, Any], heading: str) -> None:
    """The fields of a list's `Response` table, with their types; a cursor may be null."""
    for name, printed in seed_texts.rest_fields(heading).items():
        allowed = {ENVELOPE.get(printed, printed)} | ({"null"} if name in ("next", "previous") else set())
        assert without_time(page[name]) in allowed, f"{name} is {page[name]!r}"
    assert type(page["count"]) is int


def check_thread(thread: dict[str, Any]) -> None:
    """The fields of `Create Thread for Agent`; what nobody has set is null."""
    printed = seed_texts.rest_fields("Create Thread for Agent")
    assert len(printed) == 7
    for name, kind in printed.items():
        nullable = name in ("user_id", "external_ref", "title")
        assert without_time(thread[name]) == kind or (nullable and thread[name] is None), f"{name} is {thread[name]!r}"
    assert is_time(thread["created_at"])
    assert is_time(thread["updated_at"])


def check_messages(thread: dict[str, Any], *texts: str) -> None:
    """Text messages, in their order, each with the fields that seed 003 prints."""
    text_message = seed_texts.rest_messages()[0]
    assert [message["content"] for message in thread["messages"]] == list(texts)
    for message in thread["messages"]:
        assert differences(message, text_message) == []


def test_all_nine_curl_lines_are_found() -> None:
    assert len(CURL_LINES) == 9
    assert " ".join(line.split()[3] for line in CURL_LINES) == "GET POST GET GET POST GET GET DELETE POST"


def test_curl_list_all_threads(hub: Hub, sample: Sample) -> None:
    status, page = curl(hub, sample, 0)
    assert status == 200
    check_envelope(page, "List All Threads")
    assert 0 < len(page["data"]) <= 20
    assert {thread["agent_id"] for thread in page["data"]} == {hub.agent_id}
    (thread,) = [thread for thread in page["data"] if thread["id"] == sample.thread_id]
    check_thread(thread)
    check_messages(thread, "Hello", "You said: Hello")


def test_curl_create_thread_for_agent(hub: Hub, sample: Sample) -> None:
    status, thread = curl(hub, sample, 1)
    assert status == 200
    check_thread(thread)
    assert (thread["agent_id"], thread["external_ref"]) == (hub.agent_id, "support_ticket_456")


def test_curl_list_agent_threads(hub: Hub, sample: Sample) -> None:
    status, page = curl(hub, sample, 2)
    assert status == 200
    check_envelope(page, "List Agent Threads")
    assert page["data"][0]["id"] == sample.thread_id
    check_thread(page["data"][0])
    assert "messages" not in page["data"][0]


def test_curl_get_thread_with_messages(hub: Hub, sample: Sample) -> None:
    status, thread = curl(hub, sample, 3)
    assert status == 200
    check_thread(thread)
    check_messages(thread, "Hello", "You said: Hello")


def test_curl_create_thread_from_chat_session(hub: Hub, sample: Sample) -> None:
    status, thread = curl(hub, sample, 4)
    assert status == 200
    check_thread(thread)
    assert thread["id"] != sample.thread_id
    assert [each["id"] for each in curl(hub, sample, 5)[1]] == [thread["id"], sample.thread_id]


def test_curl_list_chat_session_threads(hub: Hub, sample: Sample) -> None:
    status, threads = curl(hub, sample, 5)
    assert status == 200
    assert [thread["id"] for thread in threads] == [sample.thread_id]
    check_thread(threads[0])


def test_curl_get_thread_from_chat_session(hub: Hub, sample: Sample) -> None:
    status, thread = curl(hub, sample, 6)
    assert status == 200
    check_thread(thread)
    check_messages(thread, "Hello", "You said: Hello")


def test_curl_delete_thread_from_chat_session(hub: Hub, sample: Sample) -> None:
    assert curl(hub, sample, 7) == (200, {"success": True})
    assert curl(hub, sample, 6)[0] == curl(hub, sample, 3)[0] == curl(hub, sample, 7)[0] == 404
    assert curl(hub, sample, 5) == (200, [])
    assert sample.thread_id not in [thread["id"] for thread in curl(hub, sample, 0)[1]["data"]]


def test_curl_invoke_thread_from_chat_session(hub: Hub, sample: Sample) -> None:
    status, answer = curl(hub, sample, 8)
    prompt = "Hello, can you help me with product recommendations?"
    assert status == 200
    assert (answer["success"], answer["error"], answer["thread_id"]) == (True, None, sample.thread_id)
    messages = curl(hub, sample, 6)[1]["messages"]
    assert [message["content"] for message in messages[-2:]] == [prompt, f"You said: {prompt}"]
    assert messages[-1]["id"] == answer["message_id"]
    assert f"You said: {prompt}" in json.dumps(answer["data"])


def run_functions(hub: Hub, *calls: list[str]) -> dict[str, Any]:
    """Call the printed functions one after the other: `{"results": […], "requests": […]}`."""
    sent = {"functions": seed_texts.functions(), "calls": calls, "url": hub.url, "token": hub.api_key}
    result: dict[str, Any] = node.run("seed_functions.mjs", sent)
    return result


def test_create_support_thread_as_printed(hub: Hub) -> None:
    ticket = f"ticket_{uuid4()}"
    ran = run_functions(hub, ["createSupportThread", ticket, hub.agent_id])
    (thread,) = ran["results"]
    check_thread(thread)
    assert (thread["external_ref"], thread["agent_id"]) == (f"support_{ticket}", hub.agent_id)
    # The sample names no content type, so a browser says that its JSON is text.
    assert ran["requests"] == [
        {"method": "POST", "path": f"/agents/{hub.agent_id}/threads", "type": "text/plain;charset=UTF-8"}
    ]


def test_get_or_create_chat_thread_as_printed_creates_what_it_does_not_find(hub: Hub) -> None:
    session = f"session_{uuid4()}"
    call = ["getOrCreateChatThread", session, hub.agent_id]
    ran = run_functions(hub, call, call)
    first, second = ran["results"]
    assert first["external_ref"] == second["external_ref"] == f"support_chat_{session}"
    # As printed it looks up `chat_X` and creates `support_chat_X`; matching is exact, so it never finds its own.
    assert first["id"] != second["id"]
    assert [request["method"] for request in ran["requests"]] == ["GET", "POST", "GET", "POST"]


def test_get_or_create_chat_thread_as_printed_gets_what_is_there(hub: Hub) -> None:
    session = f"session_{uuid4()}"
    made = hub.post(f"/agents/{hub.agent_id}/threads", json={"external_ref": f"chat_{session}"}).json()
    ran = run_functions(hub, ["getOrCreateChatThread", session, hub.agent_id])
    assert [thread["id"] for thread in ran["results"]] == [made["id"]]
    assert [request["method"] for request in ran["requests"]] == ["GET"]


def test_the_json_of_seed_000_is_answered_key_by_key(hub: Hub) -> None:
    body = {**seed_texts.ai_request("Create Thread"), "integration": hub.agent_id}
    created = hub.post("/api/ai/threads", json=body)
    assert created.status_code == 201
    assert differences(created.json(), seed_texts.ai_response("Create Thread")) == []
    thread_id, path = created.json()["_id"], f"/api/ai/threads/{created.json()['_id']}"
    question = {"messages": [{"role": "user", "content": "Hello!"}]}
    hub.post(f"/api/ai/{hub.agent_id}/chat-completion/{thread_id}", json=question)
    read = hub.get(path).json()
    assert differences(read, seed_texts.ai_response("Get Thread")) == []
    assert [message["role"] for message in read["messages"]] == ["user", "assistant"]
    listed = hub.get("/api/ai/threads", params={"sort": "-created", "limit": 1}).json()
    assert differences(listed, seed_texts.ai_response("List Threads")) == []
    assert (listed[0]["_id"], listed[0]["messages"]) == (thread_id, [])
    assert hub.delete(path).json() == seed_texts.ai_response("Delete Thread")


@pytest.mark.parametrize("number", range(3), ids=["text", "tool calls", "image"])
def test_the_messages_of_seed_003_are_kept_as_printed(hub: Hub, number: int) -> None:
    printed = seed_texts.rest_messages()[number]
    thread_id = hub.post(f"/agents/{hub.agent_id}/threads", json={}).json()["id"]
    appended = hub.post(f"/threads/{thread_id}/messages", json=printed)
    assert appended.status_code in (200, 201), appended.text
    (read,) = hub.get(f"/agents/{hub.agent_id}/threads/{thread_id}").json()["messages"]
    for name, value in printed.items():
        if name == "tool_calls":
            assert [differences(call, value[0]) for call in read[name]] == [[]]
            assert (read[name][0]["function"], read[name][0]["arguments"]) == (*value[0].values(),)
        else:
            assert read[name] == value
