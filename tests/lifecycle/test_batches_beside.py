"""Several batches of one command at a time, each on a connection of its own: as one after the other, only sooner."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread, policy
from threadhub.isolation import scope
from threads import search_backlog
from threads.lifecycle import apply, batches, by_hand, candidates, purge, sweeper
from threads.lifecycle.batches import Bounds
from threads.lifecycle.bundles import archive, verify
from threads.lifecycle.candidates import Selection
from threads.models import Bundle, BundledThread, Message, Thread, Tombstone

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 20.0


def walk(tenant: Tenant, work: batches.Work, **bounds: Any) -> tuple[int, str]:
    query = candidates.in_states(
        selection=Selection(workspace_id=tenant.workspace.pk), states=["active"], now=timezone.now()
    )
    with sweeper.alone():
        return batches.through(query=query, bounds=Bounds(batch_size=2, pause=0, parallel=2, **bounds), work=work)


def _parameters() -> dict[str, Any]:
    known = connection.get_connection_params().items()
    return {name: value for name, value in known if name in ("host", "port", "user", "dbname")}


def _until(other: Any, lock: str) -> None:
    """Ask for a lock until it is free."""
    for _ in range(int(SECONDS * 100)):
        if other.execute(lock).fetchone()[0]:
            return
        threading.Event().wait(0.01)
    raise TimeoutError(lock)


def in_turn(tenant: Tenant, verb: str, **options: Any) -> None:
    words = {"workspace": tenant.workspace.pk, "yes": True, "batch_size": 2, **options}
    call_command("purge_trash" if verb == "purge" else f"{verb}_threads", stdout=StringIO(), stderr=StringIO(), **words)


@pytest.fixture(autouse=True)
def _open(tenant: Tenant) -> Iterator[None]:
    """The scope of a command: the threads of execution take it along."""
    with scope.within(tenant.workspace.pk):
        yield


def test_two_are_in_hand_at_a_time_and_nothing_twice(tenant: Tenant) -> None:
    every = [old_thread(tenant, 100 - number).pk for number in range(7)]
    both, taken, names = threading.Barrier(2), list[Any](), set[str]()

    def work(batch: list[UUID], left: int | None) -> int:
        if len(names) < 2:
            names.add(threading.current_thread().name)
            both.wait(SECONDS)
        taken.extend(batch)
        return len(batch)

    assert walk(tenant, work) == (7, "done")
    assert sorted(taken) == sorted(every)
    assert len(names) == 2


@pytest.mark.parametrize("where", ["first", "beside"])
def test_what_fails_in_one_is_told_by_the_caller(tenant: Tenant, where: str) -> None:
    for number in range(12):
        old_thread(tenant, 100 - number)
    caller, both, fails, count = threading.current_thread(), threading.Barrier(2), threading.Event(), [0]

    def work(batch: list[UUID], left: int | None) -> int:
        count[0] += 1
        if count[0] <= 2:
            both.wait(SECONDS)
        if (threading.current_thread() is caller) is (where == "first"):
            fails.set()
            raise OSError("the disk is full")
        assert fails.wait(SECONDS)
        return len(batch)

    with pytest.raises(OSError, match="the disk is full"):
        walk(tenant, work)
    assert count[0] <= 4  # the other ended after what it had in hand, or the next
    with sweeper.alone():  # and left nothing locked
        assert Thread.objects.select_for_update(nowait=True).count() == 12


@pytest.mark.parametrize("alone", ["limit", "transaction"])
def test_one_at_a_time_where_others_would_not_know_enough(tenant: Tenant, alone: str) -> None:
    for number in range(6):
        old_thread(tenant, 100 - number)
    names = set[str]()

    def work(batch: list[UUID], left: int | None) -> int:
        names.add(threading.current_thread().name)
        return len(batch) if left is None else min(len(batch), left)

    if alone == "limit":
        assert walk(tenant, work, limit=5) == (5, "limit")
    else:
        with transaction.atomic():
            assert walk(tenant, work) == (6, "done")
    assert names == {threading.current_thread().name}


def test_a_stop_ends_both(tenant: Tenant) -> None:
    for number in range(12):
        old_thread(tenant, 100 - number)
    stop, both = threading.Event(), threading.Barrier(2)

    def work(batch: list[UUID], left: int | None) -> int:
        both.wait(SECONDS)
        stop.set()
        return len(batch)

    assert walk(tenant, work, stop=stop) == (4, "stopped")


def test_who_lost_the_first_connection_begins_nothing_more(tenant: Tenant) -> None:
    """Another sweep waits for the batch in hand, and then has it to itself."""
    for number in range(12):
        old_thread(tenant, 100 - number)
    caller, both, lost, count = threading.current_thread(), threading.Barrier(2), threading.Event(), [0]
    order: list[str] = []

    def another() -> None:
        with psycopg.connect(**_parameters(), autocommit=True) as other:
            _until(other, sweeper.LOCK)
            lost.set()
            _until(other, sweeper.NONE_BESIDE)
            order.append("another")

    def work(batch: list[UUID], left: int | None) -> int:
        count[0] += 1
        both.wait(SECONDS)
        if threading.current_thread() is caller:
            other.start()
            with psycopg.connect(**_parameters(), autocommit=True) as killer:
                killer.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        else:
            assert lost.wait(SECONDS)
            threading.Event().wait(0.3)  # time for the other to take what it must not have yet
            order.append("batch")
        return len(batch)

    other = threading.Thread(target=another)
    with pytest.raises((DatabaseError, psycopg.Error, sweeper.SweepRunning)):
        walk(tenant, work)
    other.join(SECONDS)
    assert (order, count[0]) == (["batch", "another"], 2)


def test_archived_and_restored_as_one_after_the_other(tenant: Tenant, archive_directory: str) -> None:
    every = [old_thread(tenant, 100 - number).pk for number in range(9)]
    words = sorted(Message.objects.values_list("id", "content"))
    in_turn(tenant, "archive")
    assert not Message.objects.exists()
    bundles = list(Bundle.objects.order_by("number"))
    assert [each.previous for each in bundles] == ["", *(each.manifest_sha256 for each in bundles[:-1])]
    assert len({each.number for each in bundles}) == len(bundles) >= 5
    assert sorted(BundledThread.objects.values_list("thread_id", flat=True)) == sorted(every)
    for each in bundles:
        verify.whole(path=each.path, workspace=tenant.workspace.wire_id)
    in_turn(tenant, "restore")
    assert sorted(Message.objects.values_list("id", "content")) == words
    assert set(Thread.objects.values_list("state", flat=True)) == {"active"}


def test_batches_that_need_the_same_bundles_never_wait_for_each_other(
    tenant: Tenant, archive_directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch has two groups: one takes the first bundle and then the second, the other the second and the first."""
    every = [old_thread(tenant, 100 - number) for number in range(4)]
    for together in ((0, 3), (1, 2)):
        with transaction.atomic():
            thread_ids = [every[number].pk for number in together]
            archive.archive(workspace_id=tenant.workspace.pk, thread_ids=thread_ids, now=timezone.now())
    monkeypatch.setattr(apply, "BUNDLE_MESSAGES", 1)
    restore_all, both = by_hand.restoring.restore_all, threading.Barrier(2)

    def first_group_then_wait(**options: Any) -> int:
        count = restore_all(**options)
        with suppress(threading.BrokenBarrierError):
            both.wait(1.0)
        return count

    monkeypatch.setattr(by_hand.restoring, "restore_all", first_group_then_wait)
    in_turn(tenant, "restore", parallel=2)
    assert Message.objects.count() == 12
    assert not Bundle.objects.filter(removed_at=None).exists()


@pytest.mark.parametrize("bundles", [((0, 3), (1, 2)), ((0, 1, 2), (3,))])
def test_what_is_purged_for_two_reasons_never_waits_for_each_other(
    tenant: Tenant, archive_directory: str, monkeypatch: pytest.MonkeyPatch, bundles: tuple[tuple[int, ...], ...]
) -> None:
    """Each batch has a thread of each bundle: for one reason it takes the first, for the other the second, or the other
    way round. Or of one bundle threads go for both reasons, and one is in the other batch."""
    every = [old_thread(tenant, 100 - number) for number in range(4)]
    policy(tenant, "purge", 1, counted_from="trashed")
    for together in bundles:
        with transaction.atomic():
            thread_ids = [every[number].pk for number in together]
            archive.archive(workspace_id=tenant.workspace.pk, thread_ids=thread_ids, now=timezone.now())
    for number, thread in enumerate(every):
        now, later = timezone.now(), timedelta(days=5 if number % 2 else -1)
        purged = {"state": "trashed", "trashed_at": now - timedelta(days=2), "purge_after": now + later}
        Thread.objects.filter(pk=thread.pk).update(**purged)
    destroy, both = purge.destroy, threading.Barrier(2)

    def one_reason_then_wait(**options: Any) -> int:
        count = destroy(**options)
        with suppress(threading.BrokenBarrierError):
            both.wait(1.0)
        return count

    monkeypatch.setattr(purge, "destroy", one_reason_then_wait)
    in_turn(tenant, "purge", parallel=2)
    assert not Thread.objects.exists()
    assert Tombstone.objects.filter(reason="trash").count() == Tombstone.objects.filter(reason="policy").count() == 2
    assert not Bundle.objects.filter(removed_at=None).exists()


def test_two_purge_as_one_after_the_other(tenant: Tenant) -> None:
    every = [old_thread(tenant, 100 - number).pk for number in range(9)]
    Thread.objects.update(state="trashed", trashed_at=timezone.now(), purge_after=timezone.now())
    in_turn(tenant, "purge", parallel=2)
    assert not Thread.objects.exists()
    assert not Message.objects.exists()
    assert set(Tombstone.objects.values_list("thread_id", flat=True)) == set(every)


def test_what_cannot_be_restored_is_counted_whoever_meets_it(tenant: Tenant, archive_directory: str) -> None:
    for number in range(8):
        old_thread(tenant, 100 - number)
    in_turn(tenant, "archive")
    damaged = list(Bundle.objects.order_by("number")[:2])
    lost = BundledThread.objects.filter(bundle_id__in=[each.pk for each in damaged]).count()
    for each in damaged:
        archive.vault.remove(each.path)
    with pytest.raises(CommandError, match=f"{lost} threads were not restored"):
        in_turn(tenant, "restore")
    assert Thread.objects.filter(state="archived").count() == lost
    assert Message.objects.count() == 3 * (8 - lost)


def test_search_learns_at_once_of_as_many_as_of_one_after_the_other(
    tenant: Tenant, archive_directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        old_thread(tenant, 100 - number)
    in_turn(tenant, "archive")
    monkeypatch.setattr(search_backlog, "AT_ONCE", 6)
    insert, both = by_hand.restoring.insert, threading.Barrier(2)

    def together(*arguments: Any, **options: Any) -> int:
        with suppress(threading.BrokenBarrierError):
            both.wait(1.0)
        return insert(*arguments, **options)

    monkeypatch.setattr(by_hand.restoring, "insert", together)
    in_turn(tenant, "restore", parallel=2)
    assert Message.objects.filter(searchable=True).count() == 6


def test_fewer_are_at_work_where_the_server_has_no_more_connections(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        old_thread(tenant, 100 - number)
    wrapper_class = type(connections["default"])
    caller, ensure = threading.current_thread(), wrapper_class.ensure_connection
    refused: list[bool] = []

    def connect(wrapper: Any) -> None:
        if threading.current_thread() is not caller:
            refused.append(True)
            raise OperationalError("sorry, too many clients already")
        ensure(wrapper)

    monkeypatch.setattr(wrapper_class, "ensure_connection", connect)
    assert walk(tenant, lambda batch, left: len(batch)) == (6, "done")
    assert refused == [True]


def test_a_sweep_that_cannot_begin_leaves_the_lock(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one without a first connection has in hand is not waited for without end."""
    monkeypatch.setattr(sweeper, "LEFT_SECONDS", 0.2)
    with psycopg.connect(**_parameters()) as left:
        left.execute(sweeper.BESIDE)
        with pytest.raises(sweeper.SweepRunning), sweeper.alone():
            pass
        assert not sweeper.is_running()
    with sweeper.alone():
        pass


@pytest.mark.parametrize("number", ["0", "17", "-1", "two", ""])
def test_how_many_is_a_small_number(tenant: Tenant, number: str) -> None:
    with pytest.raises(CommandError, match="parallel"):
        call_command("archive_threads", f"--parallel={number}", f"--workspace={tenant.workspace.wire_id}", "--yes")
