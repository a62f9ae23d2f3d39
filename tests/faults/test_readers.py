"""Readers who are cut off and come back, and many readers of one run."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from tests.clients.plai_stream import read
from tests.conftest import Tenant
from tests.faults import site
from tests.faults.site import Web
from tests.faults.wire import STREAM, Answer, fetch, frames_of, opened
from threadhub.lib import ids
from threadhub.lib.asynchronous import in_thread
from threads.actions import threads
from threads.actions.messages import Draft
from threads.models import Message, Run, RunEvent, Thread
from threads.runs.replay import compact_finished
from threads.runs.start import start

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("worker"),
]
SPEAKS = "\n".join(
    [
        "/slow 0.01\n/say one two three",
        '/tool current_time {"zone": "UTC"}',
        '/tool current_time {"zone": "Asia/Tokyo"}',
        "/say four five six",
    ]
)
VIEWERS = 200


@pytest.fixture
def thread(tenant: Tenant) -> Thread:
    return threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())


def ask(tenant: Tenant, thread: Thread, prompt: str) -> Run:
    drafts = [Draft(role="user", content=prompt)]
    return start(actor=tenant.actor, thread=thread, drafts=drafts, now=timezone.now()).run


def events_path(run: Run) -> str:
    return f"/threads/{ids.encode(Thread.PREFIX, run.thread_id)}/runs/{run.wire_id}/events"


def number_of(frame: bytes) -> str:
    found = re.match(rb"id: (\d+)\n", frame)
    assert found, frame
    return found[1].decode()


async def cut_and_resumed(webs: list[Web], run: Run, token: str, cut: int) -> bytes:
    """The stream with a cut after so many frames, gone on with on the other web server."""
    path = events_path(run)
    first, second = webs if cut % 2 else reversed(webs)
    async with opened(first.port, "GET", path, token=token, headers=STREAM) as response:
        before = await frames_of(response, cut)
    last = number_of(before[-1])
    if cut % 3:
        after = await fetch(second.port, "GET", path, token=token, headers={**STREAM, "Last-Event-ID": last})
    else:
        after = await fetch(second.port, "GET", f"{path}?after={last}", token=token, headers=STREAM)
    return b"".join(frame + b"\n\n" for frame in (*before, *after.frames))


def test_a_stream_cut_after_any_event_goes_on_elsewhere_byte_for_byte(
    tenant: Tenant, thread: Thread, two_webs: list[Web]
) -> None:
    run = ask(tenant, thread, SPEAKS)

    async def every_cut() -> tuple[Answer, list[bytes], list[bytes]]:
        whole = await fetch(two_webs[0].port, "GET", events_path(run), token=tenant.key, headers=STREAM)
        cuts = range(1, len(whole.frames))
        again = [cut_and_resumed(two_webs, run, tenant.key, cut) for cut in cuts]
        rows = await asyncio.gather(*again)
        assert await in_thread(compact_finished)(now=timezone.now() + timedelta(days=2)) == 1
        assert not await in_thread(RunEvent.objects.filter(run_id=run.pk).exists)()
        return whole, rows, await asyncio.gather(*(cut_and_resumed(two_webs, run, tenant.key, cut) for cut in cuts))

    whole, from_rows, from_messages = asyncio.run(every_cut())
    uncut = b"".join(frame + b"\n\n" for frame in whole.frames)
    assert len(whole.frames) >= 15
    assert read([uncut]).text == "one two threefour five six"
    assert set(from_rows) == {uncut}
    assert set(from_messages) == {uncut}
    run.refresh_from_db()
    assert run.status == "succeeded"


def test_a_live_stream_cut_at_any_event_goes_on_elsewhere(tenant: Tenant, thread: Thread, two_webs: list[Web]) -> None:
    """Here while the run goes on: every reader is cut at another event of it."""
    run = ask(tenant, thread, "/slow 0.05\n/length 30")

    async def every_cut() -> tuple[Answer, list[bytes]]:
        whole = fetch(two_webs[0].port, "GET", events_path(run), token=tenant.key, headers=STREAM)
        cuts = [cut_and_resumed(two_webs, run, tenant.key, cut) for cut in range(1, 20)]
        first, *rest = await asyncio.gather(whole, *cuts)
        return first, rest

    whole, cut = asyncio.run(every_cut())
    assert set(cut) == {b"".join(frame + b"\n\n" for frame in whole.frames)}


def test_the_kill_of_the_web_server_that_streams_loses_nothing(
    tenant: Tenant, thread: Thread, two_webs: list[Web], tmp_path: Path
) -> None:
    asked = {"prompt": "/slow 0.05\n/length 40"}
    path = f"/threads/{ids.encode(Thread.PREFIX, thread.pk)}/invoke"

    async def cut_by_the_kill(port: int, kill: site.Web) -> list[bytes]:
        async with opened(port, "POST", path, token=tenant.key, body=asked, headers=STREAM) as response:
            frames = await frames_of(response, 5)
            await asyncio.to_thread(kill.kill)
            return [*frames, *await frames_of(response)]

    async def resumed(frames: list[bytes]) -> tuple[bytes, bytes]:
        run = await in_thread(Run.objects.get)()
        headers = {**STREAM, "Last-Event-ID": number_of(frames[-1])}
        after = await fetch(two_webs[0].port, "GET", events_path(run), token=tenant.key, headers=headers)
        whole = await fetch(two_webs[1].port, "GET", events_path(run), token=tenant.key, headers=STREAM)
        return b"".join(frame + b"\n\n" for frame in (*frames, *after.frames)), whole.body

    with site.webs(tmp_path, 1) as (doomed,):
        frames = asyncio.run(cut_by_the_kill(doomed.port, doomed))
    together, whole = asyncio.run(resumed(frames))
    assert len(frames) < 40
    assert together == whole
    run = Run.objects.get()
    assert run.status == "succeeded"
    assert len((Message.objects.get(run_id=run.pk, role="assistant").content or "").split()) == 40


def test_a_chunk_stream_that_is_cut_leaves_the_answer_in_its_thread(
    tenant: Tenant, thread: Thread, two_webs: list[Web]
) -> None:
    """The `ai` dialect has no way to go on with a stream: its clients read the thread."""
    wire_id = ids.encode(Thread.PREFIX, thread.pk)
    asked = {"messages": [{"role": "user", "content": "/slow 0.02\n/length 20"}]}
    path = f"/api/ai/{tenant.agent.wire_id}/chat-completion/{wire_id}?stream=true"

    async def leave_after_two() -> None:
        async with opened(two_webs[0].port, "POST", path, token=tenant.key, body=asked) as response:
            assert len(await frames_of(response, 2)) == 2

    asyncio.run(leave_after_two())
    site.until(lambda: not Run.objects.live().exists())
    assert Run.objects.get().status == "succeeded"
    got = asyncio.run(fetch(two_webs[1].port, "GET", f"/api/ai/threads/{wire_id}", token=tenant.key))
    answer = got.json["messages"][-1]
    assert (answer["role"], len(answer["content"].split())) == ("assistant", 20)


def connections() -> int:
    """Connections to this database, but for our own and the worker's, which is a thread of this process."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        (count,) = cursor.fetchone()
    return int(count)


def test_each_of_two_hundred_viewers_sees_every_event_once(tenant: Tenant, thread: Thread, two_webs: list[Web]) -> None:
    before = connections()
    run = ask(tenant, thread, "/slow 0.1\n/length 60")
    watched = two_webs[0]

    async def all_of_them() -> tuple[list[Answer], int, set[int]]:
        path = events_path(run)
        viewers = [
            asyncio.create_task(fetch(watched.port, "GET", path, token=tenant.key, headers=STREAM))
            for _ in range(VIEWERS)
        ]
        most = 0
        others: set[int] = set()
        while not all(viewer.done() for viewer in viewers):
            most = max(most, await in_thread(connections)())
            others.add((await fetch(watched.port, "GET", "/threads", token=tenant.key)).status)
            await asyncio.sleep(0.1)
        return await asyncio.gather(*viewers), most, others

    answers, most, others = asyncio.run(all_of_them())
    assert others == {200}
    assert {answer.status for answer in answers} == {200}
    told = {answer.body.replace(b": ping\n\n", b"") for answer in answers}
    assert len(told) == 1
    numbers = [number_of(frame) for frame in answers[0].frames]
    assert len(set(numbers)) == len(numbers)
    assert read([told.pop()]).message_id == ids.encode(Message.PREFIX, run.answer_id)
    assert most - before < 20, (before, most)


@pytest.mark.parametrize("dialect", ["rest", "ai"])
def test_a_thread_deleted_in_the_middle_ends_its_stream_with_that_error(
    tenant: Tenant, thread: Thread, two_webs: list[Web], dialect: str
) -> None:
    wire_id = ids.encode(Thread.PREFIX, thread.pk)
    body: dict[str, object] = {"prompt": "/slow 0.05\n/length 400"}
    path = f"/threads/{wire_id}/invoke"
    if dialect == "ai":
        body = {"messages": [{"role": "user", "content": body["prompt"]}]}
        path = f"/api/ai/{tenant.agent.wire_id}/chat-completion/{wire_id}"

    async def delete_in_the_middle() -> list[bytes]:
        async with opened(two_webs[0].port, "POST", path, token=tenant.key, body=body, headers=STREAM) as response:
            frames = await frames_of(response, 4)
            gone = await fetch(two_webs[1].port, "DELETE", f"/threads/{wire_id}", token=tenant.key)
            assert gone.status == 200
            return [*frames, *await frames_of(response)]

    *_, error, last = asyncio.run(delete_in_the_middle())
    assert b'"code":"thread_deleted"' in error
    assert last.startswith(b"data: [DONE]" if dialect == "ai" else b"id: ")
    assert dialect == "ai" or b"message_stop" in last
    assert not Run.objects.exists()
    assert not RunEvent.objects.exists()
