"""Cancelling from anywhere: what was said until then is kept and marked, and nothing comes after it."""

import asyncio
from typing import Any

import pytest

from tests.api.rest.conftest import open_session
from tests.conftest import Api, Tenant
from tests.faults.site import Web, until
from tests.faults.wire import STREAM, fetch, frames_of, opened
from threadhub.lib.asynchronous import in_thread
from threads.models import Message, Run, RunEvent

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("worker"),
]
TALKS_ON = "/slow 0.02\n/length 3000"  # a minute of it


@pytest.fixture
def session(api: Api, tenant: Tenant) -> dict[str, Any]:
    return open_session(api, tenant)


@pytest.mark.parametrize("canceller", ["a key elsewhere", "the chat session"])
@pytest.mark.parametrize("asked", ["rest", "ai", "chat session"])
def test_a_run_that_is_cancelled_from_elsewhere_says_nothing_more(
    tenant: Tenant, session: dict[str, Any], two_webs: list[Web], asked: str, canceller: str
) -> None:
    here, elsewhere = (web.port for web in two_webs)
    thread, of_session = session["thread_id"], f"/chat_sessions/{session['id']}/threads/{session['thread_id']}"
    path, token, body = {
        "rest": (f"/threads/{thread}/invoke", tenant.key, {"prompt": TALKS_ON}),
        "ai": (
            f"/api/ai/{tenant.agent.wire_id}/chat-completion/{thread}?stream=true",
            tenant.key,
            {"messages": [{"role": "user", "content": TALKS_ON}]},
        ),
        "chat session": (f"{of_session}/invoke", session["chat_token"], {"prompt": TALKS_ON}),
    }[asked]
    by_session = canceller == "the chat session"
    under, by = (of_session, session["chat_token"]) if by_session else (f"/threads/{thread}", tenant.key)

    async def cancelled_in_the_middle() -> tuple[list[bytes], int]:
        async with opened(here, "POST", path, token=token, body=body, headers=STREAM) as response:
            frames = await frames_of(response, 5)
            run = await in_thread(Run.objects.get)()
            cancelled = await fetch(elsewhere, "POST", f"{under}/runs/{run.wire_id}/cancel", token=by, body={})
            assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
            numbered = await in_thread(RunEvent.objects.filter(run_id=run.pk).count)()
            return [*frames, *await frames_of(response)], numbered

    frames, numbered = asyncio.run(cancelled_in_the_middle())
    end = frames[-2:] if asked == "ai" else frames[-1:]
    assert b'"code":"run_cancelled"' in end[0] or b"message_stop" in end[0]
    # Another question goes through the same worker, which by then has noticed that the first is over.
    after = asyncio.run(
        fetch(elsewhere, "POST", f"/threads/{thread}/invoke", token=tenant.key, body={"prompt": "/say and now"})
    )
    assert after.json["data"]["answer"] == "and now"
    run = Run.objects.get(number=1)
    events = list(RunEvent.objects.filter(run_id=run.pk).order_by("seq").values_list("seq", "type", "data"))
    assert [seq for seq, _, _ in events] == list(range(1, numbered + 1))
    assert events[-1][1] == "message_stop"
    partial = Message.objects.get(run_id=run.pk, role="assistant")
    assert partial.partial
    assert partial.content == "".join(data["text"] for _, type, data in events if type == "text_delta")
    assert list(Message.objects.order_by("position").values_list("position", flat=True)) == [1, 2, 3, 4]


def test_who_asks_again_keeps_the_run_that_should_end_with_its_reader(
    tenant: Tenant, session: dict[str, Any], two_webs: list[Web]
) -> None:
    """The first reader is cut off and comes back under its key before that is noticed: then it has not gone."""
    path = f"/threads/{session['thread_id']}/invoke?on_disconnect=cancel"
    body, headers = {"prompt": "/slow 0.05\n/length 60"}, {**STREAM, "Idempotency-Key": "one question"}
    here, elsewhere = (web.port for web in two_webs)

    async def twice() -> list[bytes]:
        async with opened(here, "POST", path, token=tenant.key, body=body, headers=headers) as first:
            await frames_of(first, 4)
            async with opened(elsewhere, "POST", path, token=tenant.key, body=body, headers=headers) as second:
                frames = await frames_of(second, 4)
                first._reader._transport.abort()  # type: ignore[attr-defined]
                return [*frames, *await frames_of(second)]

    frames = asyncio.run(twice())
    assert b"message_stop" in frames[-1]
    assert Run.objects.get().status == "succeeded"


def test_the_last_reader_of_a_key_who_goes_does_end_the_run(
    tenant: Tenant, session: dict[str, Any], two_webs: list[Web]
) -> None:
    path = f"/threads/{session['thread_id']}/invoke?on_disconnect=cancel"
    body, headers = {"prompt": TALKS_ON}, {**STREAM, "Idempotency-Key": "one question"}

    async def both_go() -> None:
        for web in two_webs:
            async with opened(web.port, "POST", path, token=tenant.key, body=body, headers=headers) as response:
                await frames_of(response, 4)

    asyncio.run(both_go())
    until(lambda: Run.objects.get().status == "cancelled")
    assert Message.objects.get(role="assistant").partial
