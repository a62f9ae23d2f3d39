"""A client that goes before the end of an answer."""

import time
from collections.abc import Callable

import httpx
import pytest

from tests.hub import Hub


def wait_for(status: Callable[[], str], wanted: str, seconds: float = 15.0) -> str:
    deadline = time.monotonic() + seconds
    while (found := status()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def ask_and_leave(hub: Hub, query: str, accept: str) -> tuple[str, Callable[[], str]]:
    """Ask for a slow answer and go after a moment; the thread, and how its run is."""
    thread = hub.post(f"/agents/{hub.agent_id}/threads", json={}).json()["id"]
    headers = {"Authorization": f"Bearer {hub.api_key}", "Accept": accept}
    body = {"prompt": "/slow 0.05 /length 60"}
    with (
        httpx.Client(base_url=hub.url, timeout=1.5, trust_env=False) as client,
        pytest.raises(httpx.TimeoutException) if accept == "application/json" else _nothing(),
        client.stream("POST", f"/threads/{thread}/invoke{query}", json=body, headers=headers) as response,
    ):
        for line in response.iter_lines():
            if "content_block_delta" in line:
                break
    return thread, lambda: str(hub.get(f"/threads/{thread}/runs").json()["data"][0]["status"])


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_exc: object) -> None: ...


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_the_run_goes_on_without_its_client(hub: Hub, accept: str) -> None:
    thread, status = ask_and_leave(hub, "", accept)
    assert wait_for(status, "succeeded") == "succeeded"
    answer = hub.get(f"/threads/{thread}").json()["messages"][-1]
    assert len(answer["content"].split()) == 60
    assert answer["partial"] is False


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_it_is_cancelled_where_the_client_wants_that(hub: Hub, accept: str) -> None:
    thread, status = ask_and_leave(hub, "?on_disconnect=cancel", accept)
    assert wait_for(status, "cancelled") == "cancelled"
    answer = hub.get(f"/threads/{thread}").json()["messages"][-1]
    assert answer["partial"] is True
    assert 0 < len(answer["content"].split()) < 60


def test_another_wish_is_refused_and_nothing_stored(hub: Hub) -> None:
    thread = hub.post(f"/agents/{hub.agent_id}/threads", json={}).json()["id"]
    answer = hub.post(f"/threads/{thread}/invoke?on_disconnect=explode", json={"prompt": "hi"})
    assert answer.status_code == 422
    assert hub.get(f"/threads/{thread}").json()["messages"] == []
