"""What several runs of a worker have said is stored in one statement, and none of them waits for another."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from tests.conftest import Tenant
from tests.threads.test_feeds import begun
from threadhub.embedded import direct
from threadhub.isolation import scope
from threadhub.lib import ids
from threads.models import Run, RunEvent
from threads.runs import events, sql, together
from threads.runs.recorder import Recorder
from threads.runs.sql import Said

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE = 20


def said(run: Run, *texts: str) -> Said:
    return Said(run.pk, run.workspace_id, [(events.TEXT_DELTA, {"index": 0, "text": text}) for text in texts])


def told(run: Run) -> list[tuple[int, str, Any]]:
    with scope.within(run.workspace_id):
        every = RunEvent.objects.filter(run_id=run.pk, workspace_id=run.workspace_id).order_by("seq")
        return list(every.values_list("seq", "type", "data"))


def texts(run: Run) -> list[str]:
    return [data["text"] for _, type, data in told(run) if type == events.TEXT_DELTA]


def store(*every: Said) -> list[bool]:
    async def all_at_once() -> list[bool]:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.gather(*(together.here().store(each) for each in every))

    return asyncio.run(all_at_once())


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of how many runs each statement was."""
    sizes: list[int] = []
    append = sql.append_events_of_runs

    def counted(*, said: Sequence[Said], lease_seconds: float) -> set[Any]:
        sizes.append(len(said))
        return append(said=said, lease_seconds=lease_seconds)

    monkeypatch.setattr(sql, "append_events_of_runs", counted)
    return sizes


def test_runs_of_several_workspaces_are_stored_together(
    tenant: Tenant, other_tenant: Tenant, statements: list[int]
) -> None:
    runs = [begun(tenant), begun(tenant), begun(other_tenant)]
    assert store(*(said(run, "one", "two") for run in runs)) == [True] * 3
    assert statements == [3]
    assert [texts(run) for run in runs] == [["one", "two"]] * 3


@pytest.mark.parametrize("alone", [True, False])
def test_a_lease_is_renewed_when_an_eighth_of_it_is_over(tenant: Tenant, settings: Any, alone: bool) -> None:
    """Not with each piece of text: to change it is a row more in each index of the runs."""
    run = begun(tenant)
    settings.RUN_LEASE_SECONDS = 1_000

    def say() -> datetime:
        if alone:
            assert sql.append_events(**said(run)._asdict(), lease_seconds=1_000)
        else:
            assert store(said(run)) == [True]
        run.refresh_from_db()
        assert run.lease_expires_at
        return run.lease_expires_at

    def leave(seconds: int) -> datetime:
        run.lease_expires_at = timezone.now() + timedelta(seconds=seconds)
        run.save(update_fields=["lease_expires_at"])
        return run.lease_expires_at

    fresh = leave(seconds=885)
    assert say() == fresh
    for other in (865, 1_100):  # too short; longer than any is
        leave(seconds=other)
        assert timedelta(seconds=990) < say() - timezone.now() < timedelta(seconds=1_001)


def test_what_comes_faster_than_statements_should_gathers(
    tenant: Tenant, statements: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [begun(tenant) for _ in range(10)]
    monkeypatch.setattr(together, "APART", 0.5)
    monkeypatch.setattr(together, "AT_ONCE", 2)

    async def one_after_the_other() -> list[bool]:
        storing = []
        for run in runs:
            storing.append(together.here().store(said(run, "one")))
            await asyncio.sleep(0.03)
        return await asyncio.gather(*storing)

    assert asyncio.run(one_after_the_other()) == [True] * 10
    assert statements[:2] == [1, 1]
    assert len(statements) <= 5
    assert [texts(run) for run in runs] == [["one"]] * 10


def test_readers_are_told_of_many_runs_at_once(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [begun(tenant) for _ in range(5)]
    monkeypatch.setattr(sql, "TOLD_TOGETHER", 2)
    with psycopg.connect(**direct.parameters(), autocommit=True) as hearer:
        hearer.execute("LISTEN run_events")
        assert store(*(said(run, "one") for run in runs)) == [True] * 5
        heard = [each.payload.split(",") for each in hearer.notifies(timeout=PATIENCE, stop_after=3)]
    assert sorted(map(len, heard)) == [1, 2, 2]
    assert {each for together in heard for each in together} == {str(run.pk) for run in runs}


def test_what_gathers_while_one_is_under_way_is_the_next(tenant: Tenant, statements: list[int]) -> None:
    runs = [begun(tenant) for _ in range(4)]

    async def one_and_then_three() -> None:
        first = together.here().store(said(runs[0], "a"))
        while not statements:
            await asyncio.sleep(0)
        assert all(await asyncio.gather(first, *(together.here().store(said(run, "b")) for run in runs[1:])))

    asyncio.run(one_and_then_three())
    assert statements == [1, 3]


def test_as_of_one_run_alone(tenant: Tenant) -> None:
    """The statement for one is what this one is held against."""
    plain, run = begun(tenant), begun(tenant)
    for each in (["a"], ["b", "c"], []):
        sql.append_events(
            run_id=plain.pk, workspace_id=plain.workspace_id, events=said(plain, *each).events, lease_seconds=60
        )
        assert store(said(run, *each)) == [True]
    assert told(run) == told(plain)
    plain.refresh_from_db()
    run.refresh_from_db()
    assert (run.last_seq, run.status) == (plain.last_seq, plain.status)
    assert run.lease_expires_at > timezone.now()


def test_one_that_is_over_is_told_so_and_the_others_are_stored(tenant: Tenant, other_tenant: Tenant) -> None:
    over, live, elsewhere = begun(tenant), begun(tenant), begun(other_tenant)
    Run.objects.filter(pk=over.pk).update(status=Run.Status.CANCELLED)
    stolen = Said(elsewhere.pk, tenant.workspace.pk, said(elsewhere, "not theirs").events)
    assert store(said(over, "late"), said(live, "in time"), stolen) == [False, True, False]
    assert (texts(over), texts(live), texts(elsewhere)) == ([], ["in time"], [])


def test_nobody_waits_for_a_run_that_somebody_has_in_hand(tenant: Tenant) -> None:
    held, free = begun(tenant), begun(tenant)
    order: list[str] = []

    async def both() -> None:
        async def one(run: Run, name: str) -> None:
            assert await together.here().store(said(run, name))
            order.append(name)

        async with asyncio.timeout(PATIENCE):
            waiting = asyncio.create_task(one(held, "held"))
            await one(free, "free")
            await one(free, "free again")
            other.rollback()
            await waiting

    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT FROM threads_run WHERE id = %s FOR UPDATE", [held.pk])
        asyncio.run(both())
    assert order == ["free", "free again", "held"]
    assert texts(held) == ["held"]


@pytest.mark.parametrize("text", ["\x00", "\ud800"])
def test_what_cannot_be_stored_is_one_runs_fault(tenant: Tenant, text: str) -> None:
    """PostgreSQL takes no NUL, and JSON no half of a character."""
    bad, good = begun(tenant), begun(tenant)

    async def both() -> list[Any]:
        broken = Said(bad.pk, bad.workspace_id, [(events.TEXT_DELTA, {"index": 0, "text": text})])
        return await asyncio.gather(
            together.here().store(broken), together.here().store(said(good, "fine")), return_exceptions=True
        )

    failed, stored = asyncio.run(both())
    assert isinstance(failed, Exception)
    assert stored is True
    assert texts(good) == ["fine"]


def test_a_loop_that_ends_while_something_is_stored_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for it would keep the process from ending."""
    under_way, may_end = threading.Event(), threading.Event()

    def held(said: Sequence[Said]) -> set[UUID]:
        under_way.set()
        may_end.wait(PATIENCE)
        return {each.run_id for each in said}

    monkeypatch.setattr(together, "_store", held)

    async def fails() -> None:
        recorder = Recorder(run_id=ids.new(), workspace_id=ids.new())
        recorder.put(events.TEXT_DELTA, index=0, text="one")
        flushing = asyncio.create_task(recorder.flush())
        while not under_way.is_set():
            await asyncio.sleep(0.001)
        assert not flushing.done()
        may_end.set()
        raise ZeroDivisionError

    def run() -> None:
        with pytest.raises(ZeroDivisionError):
            asyncio.run(fails())

    running = threading.Thread(target=run, daemon=True)
    running.start()
    running.join(PATIENCE)
    assert not running.is_alive()


def test_who_does_not_wait_any_more_is_stored_all_the_same(tenant: Tenant) -> None:
    run = begun(tenant)

    async def leave() -> None:
        left = together.here().store(said(run, "first"))
        await asyncio.sleep(0)
        left.cancel()
        assert await together.here().store(said(run, "second"))

    asyncio.run(leave())
    assert texts(run) == ["first", "second"]


@pytest.mark.parametrize(
    ("error", "again"), [(psycopg.errors.DeadlockDetected("x"), True), (psycopg.OperationalError("cut"), False)]
)
def test_what_may_have_been_stored_is_not_stored_again(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, error: psycopg.Error, again: bool
) -> None:
    """Where the server said no, each is stored by itself; where the connection was cut, nobody knows."""
    runs = [begun(tenant), begun(tenant)]

    def fail(*, said: Sequence[Said], lease_seconds: float) -> set[Any]:
        raise OperationalError("of several runs") from error

    monkeypatch.setattr(sql, "append_events_of_runs", fail)

    async def both() -> list[Any]:
        every = (together.here().store(said(run, "a")) for run in runs)
        return await asyncio.gather(*every, return_exceptions=True)

    results = asyncio.run(both())
    assert [isinstance(each, OperationalError) for each in results] == [not again] * 2
    assert [texts(run) for run in runs] == [["a"] if again else []] * 2
