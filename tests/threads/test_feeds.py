"""What is new of all runs that are followed in a process is read together."""

import asyncio
import threading
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import InternalError, OperationalError, connection
from django.db.models.expressions import RawSQL
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant
from tests.threads.conftest import ask
from threadhub.lib.asynchronous import in_thread
from threads.actions import threads
from threads.models import Run, RunEvent
from threads.runs import events, feeds, follow, sql
from threads.runs.feeds import Feed, Feeds

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE = 20.0  # seconds
DEEP = 2_000


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many runs the new events were asked for, time after time."""
    asked_for: list[int] = []
    read = feeds._events_after

    def counted(asked: Collection[tuple[str, str, int]]) -> Any:
        asked_for.append(len(asked))
        return read(asked)

    monkeypatch.setattr(feeds, "_events_after", counted)
    return asked_for


@pytest.fixture
def closer_looks(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """The runs that were looked at closer, time after time."""
    looked_at: list[UUID] = []
    look = feeds._told_otherwise

    def counted(run_id: UUID, *rest: Any) -> Any:
        looked_at.append(run_id)
        return look(run_id, *rest)

    monkeypatch.setattr(feeds, "_told_otherwise", counted)
    return looked_at


def queued(tenant: Tenant) -> Run:
    thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    return ask(tenant, thread, "/say hello")


def begun(tenant: Tenant) -> Run:
    """A run that a worker has, which has said that it begins."""
    run = queued(tenant)
    Run.objects.filter(pk=run.pk).update(status=Run.Status.RUNNING, started_at=timezone.now())
    say(run, events.MESSAGE_START)
    return run


def say(run: Run, type: str) -> None:
    stored = sql.append_events(run_id=run.pk, workspace_id=run.workspace_id, events=[(type, {})], lease_seconds=60)
    assert stored


@asynccontextmanager
async def opened(every: Feeds, runs: Collection[Run]) -> AsyncIterator[list[Feed]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(every.open(run.pk, run.workspace_id, run.thread_id)) for run in runs]


async def until(met: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not met():
            await asyncio.sleep(0.005)


def test_runs_of_several_workspaces_are_read_in_one_statement(
    tenant: Tenant, other_tenant: Tenant, readings: list[int]
) -> None:
    runs = [begun(tenant), begun(tenant), begun(other_tenant)]

    async def follow() -> list[list[str]]:
        every = Feeds()
        async with opened(every, runs) as found:
            await until(lambda: all(feed.events for feed in found))
            for run in runs:
                await in_thread(say)(run, events.MESSAGE_STOP)
            every.wake_all()
            await until(lambda: all(feed.ended for feed in found))
            return [[event.type for event in feed.events] for feed in found]

    assert asyncio.run(follow()) == [[events.MESSAGE_START, events.MESSAGE_STOP]] * 3
    assert readings == [3, 3]


@pytest.mark.parametrize("failure", [OperationalError("gone"), TypeError("a fault of ours")], ids=["database", "fault"])
def test_what_cannot_be_read_is_read_later(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, readings: list[int], failure: Exception
) -> None:
    run, read, failures = begun(tenant), feeds._events_after, [failure]
    monkeypatch.setattr(feeds, "RETRY_AFTER", 0.01)

    def fails_once(asked: Any) -> Any:
        if failures:
            raise failures.pop()
        return read(asked)

    monkeypatch.setattr(feeds, "_events_after", fails_once)

    async def follow() -> None:
        async with opened(Feeds(), [run]) as (feed,):
            await until(lambda: feed.events)

    asyncio.run(follow())
    assert (failures, readings) == ([], [1])


def test_a_row_that_cannot_be_read_ends_its_own_stream_alone(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = begun(tenant), begun(tenant)
    monkeypatch.setattr(feeds, "RETRY_AFTER", 0.01)
    nested = "[" * DEEP + "]" * DEEP  # PostgreSQL takes it, Python does not

    async def follow() -> list[list[str]]:
        every = Feeds()
        async with opened(every, [bad, good]) as found:
            await until(lambda: all(feed.events for feed in found))
            await in_thread(RunEvent.objects.create)(
                workspace_id=bad.workspace_id, run=bad, seq=2, type=events.TEXT_DELTA,
                data=RawSQL(f"'{{\"text\": {nested}}}'::jsonb", []),
            )  # fmt: skip
            await in_thread(say)(good, events.MESSAGE_STOP)
            every.wake_all()
            await until(lambda: all(feed.ended for feed in found))
            return [[event.type for event in feed.events] for feed in found]

    assert asyncio.run(follow()) == [
        [events.MESSAGE_START, events.ERROR, events.MESSAGE_STOP], [events.MESSAGE_START, events.MESSAGE_STOP],
    ]  # fmt: skip
    assert f"the events of run {bad.pk} cannot be read" in caplog.text
    assert str(good.pk) not in caplog.text


def test_a_page_that_is_damaged_ends_the_streams_of_its_run_beyond_what_they_have(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes back, with what they had, is told the end as well."""
    bad, good = begun(tenant), begun(tenant)
    monkeypatch.setattr(feeds, "RETRY_AFTER", 0.01)
    read = feeds._events_after

    def damaged(asked: Collection[tuple[str, str, int]]) -> Any:
        if any(run_id == str(bad.pk) for run_id, *_ in asked):
            raise InternalError("invalid page in block 7")
        return read(asked)

    monkeypatch.setattr(feeds, "_events_after", damaged)

    async def follow() -> list[list[int]]:
        every = Feeds()
        async with (
            every.open(bad.pk, bad.workspace_id, bad.thread_id, 7) as found,
            every.open(good.pk, good.workspace_id, good.thread_id) as other,
        ):
            await until(lambda: found.ended and other.events)
            return [[event.seq for event in feed.events] for feed in (found, other)]

    assert asyncio.run(follow()) == [[8, 9], [1]]


def test_first_words_do_not_wait_for_the_pace_and_many_do(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, readings: list[int]
) -> None:
    run = begun(tenant)
    monkeypatch.setattr(feeds, "APART", 5.0)

    async def follow() -> None:
        every = Feeds()
        async with opened(every, [run]) as (feed,):
            for count in (1, 2, 3):
                await until(lambda count=count: len(feed.events) == count)
                await in_thread(say)(run, events.BLOCK_STOP)
                every.wake(run.pk)
            began = asyncio.get_running_loop().time()
            for _ in range(20):
                every.wake(run.pk)
                await asyncio.sleep(0.01)
            assert asyncio.get_running_loop().time() - began < feeds.APART
            assert len(readings) <= feeds.AT_ONCE + 1

    asyncio.run(follow())


@pytest.mark.parametrize("channel", follow.CHANNELS)
def test_what_is_no_notice_of_ours_leaves_the_others_heard(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, channel: str
) -> None:
    run = begun(tenant)

    async def followed() -> list[str]:
        seen: list[str] = []
        async with asyncio.timeout(PATIENCE), follow.reader(run_id=run.pk, workspace_id=run.workspace_id) as reader:
            await until(lambda: reader.take())
            await in_thread(notify)(channel, "rubbish")
            await in_thread(say)(run, events.MESSAGE_STOP)
            await reader.news.wait()
            seen = [event.type for event in reader.take()]
            follow._hub().listener.cancel()
        return seen

    monkeypatch.setattr(feeds, "LOOK_EVERY", 60.0)
    assert asyncio.run(followed()) == [events.MESSAGE_STOP]
    assert "what is no id: 'rubbish'" in caplog.text


def test_several_runs_are_told_of_in_one_notification(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [begun(tenant), begun(tenant)]
    monkeypatch.setattr(feeds, "LOOK_EVERY", 60.0)

    async def followed() -> list[list[str]]:
        async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
            readers = [
                await stack.enter_async_context(follow.reader(run_id=run.pk, workspace_id=run.workspace_id))
                for run in runs
            ]
            for reader in readers:
                await until(lambda reader=reader: reader.take())  # type: ignore[misc]
            for run in runs:
                await in_thread(quietly)(run)
            await in_thread(notify)(follow.CHANNEL, ",".join(str(run.pk) for run in runs))
            for reader in readers:
                await reader.news.wait()
            return [[event.type for event in reader.take()] for reader in readers]

    assert asyncio.run(followed()) == [[events.MESSAGE_STOP]] * 2


def quietly(run: Run) -> None:
    RunEvent.objects.create(workspace_id=run.workspace_id, run=run, seq=2, type=events.MESSAGE_STOP, data={})


def test_a_lost_connection_is_made_again_and_what_was_missed_is_read(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = begun(tenant)
    monkeypatch.setattr(feeds, "LOOK_EVERY", 60.0)

    async def followed() -> list[str]:
        async with asyncio.timeout(PATIENCE), follow.reader(run_id=run.pk, workspace_id=run.workspace_id) as reader:
            await until(lambda: reader.take())
            await in_thread(cut_off)()
            await in_thread(quietly)(run)
            await reader.news.wait()
            return [event.type for event in reader.take()]

    assert asyncio.run(followed()) == [events.MESSAGE_STOP]
    assert "lost the connection that hears of run events" in caplog.text


def cut_off() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query = 'LISTEN chat_session_ended' AND datname = current_database()"
        )
        assert cursor.rowcount


def notify(channel: str, payload: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, payload])


def test_a_reader_who_leaves_before_the_reading_keeps_nobody_waiting(
    tenant: Tenant, readings: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    run, left = begun(tenant), begun(tenant)

    async def follow() -> None:
        every = Feeds()
        async with opened(every, [run]) as (feed,):
            await until(lambda: feed.events)
            async with opened(every, [left]):
                pass
            await asyncio.sleep(3 * feeds.APART)
            await in_thread(say)(run, events.MESSAGE_STOP)
            every.wake(run.pk)
            await until(lambda: feed.ended)

    asyncio.run(follow())
    assert readings == [1, 1]
    assert not caplog.records


def test_what_a_closer_look_told_is_not_told_again(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    run, read = begun(tenant), feeds._events_after

    async def follow() -> list[int]:
        every = Feeds()
        async with opened(every, [run]) as (feed,):
            await until(lambda: feed.events)

            def meanwhile(asked: Any) -> Any:
                found = read(asked)
                feed.add([event for rows in found.values() for event in rows])
                return found

            monkeypatch.setattr(feeds, "_events_after", meanwhile)
            await in_thread(say)(run, events.MESSAGE_STOP)
            every.wake(run.pk)
            await until(lambda: feed.ended)
            await asyncio.sleep(3 * feeds.APART)
            return [event.seq for event in feed.events]

    assert asyncio.run(follow()) == [1, 2]


def test_without_news_a_run_is_looked_at_from_time_to_time(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(tenant)
    monkeypatch.setattr(feeds, "LOOK_EVERY", 0.05)

    async def follow() -> None:
        async with opened(Feeds(), [run]) as (feed,):
            await until(lambda: feed.events)
            await in_thread(say)(run, events.MESSAGE_STOP)  # and nobody tells it
            await until(lambda: feed.ended)

    asyncio.run(follow())


def test_a_run_that_has_just_spoken_is_not_looked_at_closer(tenant: Tenant, closer_looks: list[UUID]) -> None:
    """Its events may be read before their notification: where a machine is busy, of all runs at once."""
    run = begun(tenant)

    async def follow() -> None:
        every = Feeds()
        async with opened(every, [run]) as (feed,):
            await until(lambda: feed.events)
            every.wake(run.pk)
            await asyncio.sleep(3 * feeds.APART)

    asyncio.run(follow())
    assert not closer_looks


@pytest.mark.parametrize("live", [True, False])
def test_a_run_that_was_live_a_moment_ago_is_not_looked_at_closer(
    tenant: Tenant, closer_looks: list[UUID], live: bool
) -> None:
    run = queued(tenant)

    async def follow() -> None:
        async with Feeds().open(run.pk, run.workspace_id, run.thread_id, live=live):
            await asyncio.sleep(3 * feeds.APART)

    asyncio.run(follow())
    assert closer_looks == ([] if live else [run.pk])


def test_a_run_that_has_just_spoken_and_is_gone_ends_soon(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    run, actor = begun(tenant), tenant.actor
    monkeypatch.setattr(feeds, "LATELY", 0.05)
    monkeypatch.setattr(feeds, "LOOK_EVERY", 60.0)

    async def follow() -> list[str]:
        every = Feeds()
        async with opened(every, [run]) as (feed,):
            await until(lambda: feed.events)
            await in_thread(threads.delete)(actor=actor, thread=run.thread, now=timezone.now())
            every.wake(run.pk)
            await until(lambda: feed.ended)
            return [event.type for event in feed.events]

    assert asyncio.run(follow()) == [events.MESSAGE_START, events.ERROR, events.MESSAGE_STOP]


def test_what_becomes_of_a_run_during_a_closer_look_is_seen_soon(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, actor, look = queued(tenant), tenant.actor, feeds._told_otherwise
    looked, may_end = threading.Event(), threading.Event()
    monkeypatch.setattr(feeds, "LATELY", 0.05)
    monkeypatch.setattr(feeds, "LOOK_EVERY", 60.0)

    def slow(*asked: Any) -> Any:
        found = look(*asked)
        looked.set()
        assert may_end.wait(PATIENCE)
        return found

    monkeypatch.setattr(feeds, "_told_otherwise", slow)

    async def follow() -> None:
        every = Feeds()
        async with opened(every, [run]) as (feed,):
            await until(looked.is_set)
            await in_thread(threads.delete)(actor=actor, thread=run.thread, now=timezone.now())
            every.wake(run.pk)
            await until(lambda: feed.again)
            may_end.set()
            await until(lambda: feed.ended)

    asyncio.run(follow())


def test_a_run_that_nobody_has_taken_yet_costs_a_look_two_queries(tenant: Tenant) -> None:
    """What its events are, and whether there are others to tell."""
    run = queued(tenant)
    with CaptureQueriesContext(connection) as captured:
        assert feeds._events_after([(str(run.pk), str(run.workspace_id), 0)]) == {}
        assert feeds._told_otherwise(run.pk, run.workspace_id, run.thread_id, 0, 0) == []
    assert len(captured) == 2


def test_a_feed_ends_with_its_last_user_and_leaves_nothing_behind(tenant: Tenant) -> None:
    runs = [begun(tenant), begun(tenant)]

    async def follow() -> None:
        every = Feeds()
        async with opened(every, runs), opened(every, runs[:1]) as (feed,):
            await until(lambda: feed.events)
            assert feed.users == 2
        every.wake(runs[0].pk)
        await until(lambda: len(asyncio.all_tasks()) == 1)
        async with opened(every, runs) as (again, _):
            assert again is not feed
            await until(lambda: again.events)

    asyncio.run(follow())
