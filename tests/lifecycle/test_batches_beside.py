"""Several batches of one command at a time, each on a connection of its own: as one after the other, only sooner."""

import threading
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread
from threadhub.isolation import scope
from threads.lifecycle import candidates, sweeper
from threads.lifecycle.bundles import archive, verify
from threads.lifecycle.candidates import Candidate, Selection
from threads.lifecycle.sweeper import Bounds
from threads.models import Bundle, BundledThread, Message, Thread

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 20.0


def walk(tenant: Tenant, work: Callable[[list[Candidate], int | None], int], **bounds: Any) -> tuple[int, str]:
    query = candidates.in_states(
        selection=Selection(workspace_id=tenant.workspace.pk), states=["active"], now=timezone.now()
    )
    with sweeper.alone():
        return sweeper.batches(query=query, bounds=Bounds(batch_size=2, pause=0, parallel=2, **bounds), work=work)


def in_turn(tenant: Tenant, verb: str, **options: Any) -> None:
    words = {"workspace": tenant.workspace.pk, "yes": True, "batch_size": 2, **options}
    call_command(f"{verb}_threads", stdout=StringIO(), stderr=StringIO(), **words)


@pytest.fixture(autouse=True)
def _open(tenant: Tenant) -> Iterator[None]:
    """The scope of a command: the threads of execution take it along."""
    with scope.within(tenant.workspace.pk):
        yield


def test_two_are_in_hand_at_a_time_and_nothing_twice(tenant: Tenant) -> None:
    every = [old_thread(tenant, 100 - number).pk for number in range(7)]
    both, taken, names = threading.Barrier(2), list[Any](), set[str]()

    def work(batch: list[Candidate], left: int | None) -> int:
        if len(names) < 2:
            names.add(threading.current_thread().name)
            both.wait(SECONDS)
        taken.extend(each.facts.id for each in batch)
        return len(batch)

    assert walk(tenant, work) == (7, "done")
    assert sorted(taken) == sorted(every)
    assert len(names) == 2


@pytest.mark.parametrize("where", ["first", "beside"])
def test_what_fails_in_one_is_told_by_the_caller(tenant: Tenant, where: str) -> None:
    for number in range(12):
        old_thread(tenant, 100 - number)
    caller, both, count = threading.current_thread(), threading.Barrier(2), [0]

    def work(batch: list[Candidate], left: int | None) -> int:
        count[0] += 1
        if count[0] <= 2:
            both.wait(SECONDS)
        if (threading.current_thread() is caller) is (where == "first"):
            raise OSError("the disk is full")
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

    def work(batch: list[Candidate], left: int | None) -> int:
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

    def work(batch: list[Candidate], left: int | None) -> int:
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
    parameters = {
        key: value
        for key, value in connection.get_connection_params().items()
        if key in ("host", "port", "user", "dbname")
    }

    def another() -> None:
        with psycopg.connect(**parameters, autocommit=True) as other:
            while not other.execute(sweeper.LOCK).fetchone()[0]:
                other.execute("SELECT pg_sleep(0.01)")
            lost.set()
            other.execute(sweeper.NONE_BESIDE)
            order.append("another")

    def work(batch: list[Candidate], left: int | None) -> int:
        count[0] += 1
        both.wait(SECONDS)
        if threading.current_thread() is caller:
            other.start()
            with psycopg.connect(**parameters, autocommit=True) as killer:
                killer.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        else:
            assert lost.wait(SECONDS)
            threading.Event().wait(0.3)  # time for the other to take what it must not have yet
            order.append("batch")
        return len(batch)

    other = threading.Thread(target=another)
    with pytest.raises((DatabaseError, psycopg.Error, sweeper.SweepRunning)):
        walk(tenant, work)
    other.join()
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


def test_batches_that_share_bundles_wait_and_never_for_each_other(tenant: Tenant, archive_directory: str) -> None:
    """Bundles of three, batches of two, in two months: each batch has groups, and its neighbour's bundle."""
    every = [old_thread(tenant, 100 - 5 * number) for number in range(12)]
    for at in range(0, 12, 3):
        with transaction.atomic():
            archive.archive(
                workspace_id=tenant.workspace.pk,
                thread_ids=[each.pk for each in every[at : at + 3]],
                now=timezone.now(),
            )
    in_turn(tenant, "restore", parallel=3)
    assert Message.objects.count() == 36
    assert not Bundle.objects.filter(removed_at=None).exists()


def test_what_cannot_be_restored_is_counted_whoever_meets_it(tenant: Tenant, archive_directory: str) -> None:
    for number in range(8):
        old_thread(tenant, 100 - number)
    in_turn(tenant, "archive")
    lost = set(Bundle.objects.order_by("number").values_list("pk", flat=True)[:2])
    for each in Bundle.objects.filter(pk__in=lost):
        archive.vault.remove(each.path)
    with pytest.raises(CommandError, match="4 threads were not restored"):
        in_turn(tenant, "restore")
    assert Thread.objects.filter(state="archived").count() == 4
    assert Message.objects.count() == 12


@pytest.mark.parametrize("number", ["0", "17", "-1", "two", ""])
def test_how_many_is_a_small_number(tenant: Tenant, number: str) -> None:
    with pytest.raises(CommandError, match="parallel"):
        call_command("archive_threads", f"--parallel={number}", f"--workspace={tenant.workspace.wire_id}", "--yes")
