"""A chat session that ends takes its visitor's open answers with it; on a real server, from a web page's origin."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.hub import Hub
from threadhub.api.rest.events import session_ended
from threads.models import Run

PAGE = "https://shop.example.org"
VERY_SLOW = {"prompt": "/slow 0.2 /length 600"}  # two minutes


@dataclass
class Visitor:
    """Asks with the session's chat token, from its page."""

    client: httpx.Client
    session: str
    thread: str


@pytest.fixture
def visitor(hub: Hub) -> Iterator[Visitor]:
    agent = f"/agents/{hub.agent_id}"
    hub.patch(agent, json={"allowed_origins": [PAGE]})
    key = hub.post(f"{agent}/public_key").json()["public_key"]
    opened = httpx.post(
        f"{hub.url}/chat_sessions", json={"agent_key": key}, headers={"Origin": PAGE}, trust_env=False
    ).json()
    headers = {"Origin": PAGE, "Authorization": f"Bearer {opened['chat_token']}"}
    session = f"/chat_sessions/{opened['id']}"
    with httpx.Client(base_url=hub.url, headers=headers, timeout=30, trust_env=False) as client:
        yield Visitor(client, session, f"{session}/threads/{opened['thread_id']}")
    hub.delete(session)
    hub.delete(f"/threads/{opened['thread_id']}")


def test_the_stream_ends_when_the_session_is_ended(hub: Hub, visitor: Visitor) -> None:
    accept = {"Accept": "text/event-stream"}
    with visitor.client.stream("POST", f"{visitor.thread}/invoke", json=VERY_SLOW, headers=accept) as response:
        assert response.headers["Access-Control-Allow-Origin"] == PAGE
        told = b""
        for part in response.iter_bytes():
            if b"content_block_delta" in told and b"message_stop" not in told:
                hub.delete(visitor.session)
            told += part
    frames = told.decode().strip().split("\n\n")
    data = [json.loads(frame.split("data: ", 1)[1]) for frame in frames if "data: " in frame]
    assert [each["type"] for each in data][-2:] == ["error", "message_stop"]
    assert "ended" in data[-2]["error"]["message"]
    assert "id:" not in frames[-1] + frames[-2]
    assert visitor.client.get(visitor.thread).status_code == 401
    thread = visitor.thread.removeprefix(visitor.session)
    (run,) = hub.get(f"{thread}/runs").json()["data"]
    assert run["status"] == "running"  # nobody asked for its end
    assert hub.post(f"{thread}/runs/{run['id']}/cancel").status_code == 200


def test_who_waits_for_the_whole_answer_is_told(hub: Hub, visitor: Visitor) -> None:
    answers: list[httpx.Response] = []
    asking = threading.Thread(
        target=lambda: answers.append(visitor.client.post(f"{visitor.thread}/invoke", json=VERY_SLOW))
    )
    asking.start()
    runs = f"{visitor.thread.removeprefix(visitor.session)}/runs"
    while not hub.get(runs).json()["data"] and asking.is_alive():
        time.sleep(0.05)
    assert visitor.client.delete(visitor.session).status_code == 204
    asking.join(20)
    (answer,) = answers
    assert (answer.status_code, answer.json()["code"]) == (401, "chat_session_ended")


def test_a_stream_that_had_not_begun_opens_first() -> None:
    told = session_ended(Run())(False)
    assert [line for line in told.decode().splitlines() if line.startswith("event")] == [
        "event: message_start",
        "event: error",
        "event: message_stop",
    ]


def test_another_pages_preflight_is_not_answered(visitor: Visitor) -> None:
    def allowed(origin: str) -> str | None:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = visitor.client.options(f"{visitor.thread}/invoke", headers=headers)
        return answer.headers.get("Access-Control-Allow-Origin")

    assert allowed(PAGE) == PAGE
    assert allowed("https://evil.example") is None
