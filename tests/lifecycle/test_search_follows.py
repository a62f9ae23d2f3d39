"""What is restored or imported in bulk is found once the worker is through with it; little is found at once."""

import time
from collections.abc import Iterator
from threading import Event
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from tests.conftest import Api, Tenant
from tests.lifecycle.conftest import old_thread
from tests.lifecycle.test_commands import run
from tests.lifecycle.transfers import bring_in, export, remove_all
from threadhub.console import thread_search
from threadhub.isolation import scope
from threadhub.isolation.scope import Door
from threadhub.launch import examination
from threads import search_backlog
from threads.actions import copy
from threads.actions.messages import Draft, append
from threads.lifecycle import acts, by_hand, holds, restore, sweeper
from threads.lifecycle.batches import Bounds
from threads.lifecycle.candidates import Selection
from threads.models import BundledThread, Message, Thread

pytestmark = pytest.mark.django_db(transaction=True)
NOW = timezone.now


@pytest.fixture(autouse=True)
def _five_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_backlog, "AT_ONCE", 5)
    monkeypatch.setattr(search_backlog, "BATCH", 2)


def last_month() -> int:
    """Days since it was, so that threads that are a few days older are of one month, and go into one bundle."""
    return NOW().day


@pytest.fixture
def three(tenant: Tenant) -> list[Thread]:
    """Archived, of three messages each."""
    threads = [old_thread(tenant, last_month() + 9 - number) for number in range(3)]
    for thread in threads:
        acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    return threads


def found(api: Api, text: str = "message") -> int:
    return len(api.get("/search", {"q": text}).json()["data"])


def found_in_console(text: str = "message") -> int:
    return len(thread_search.find(threads=Thread.objects.all(), workspaces=None, term=text).messages)


def restored(tenant: Tenant) -> dict[str, Any]:
    (done,) = run("restore_threads", f"--workspace={tenant.workspace.wire_id}", "--yes")
    return done


def catch_up() -> bool:
    with scope.through(Door.UPKEEP):
        return search_backlog.catch_up(stop=Event())


class TestOfARestore:
    def test_one_thread_is_found_at_once(self, api: Api, tenant: Tenant, three: list[Thread]) -> None:
        restore.restore(actor=tenant.actor, thread=three[0], now=NOW())
        assert found(api) == 3
        assert search_backlog.waiting() == 0

    def test_many_are_found_once_the_worker_is_through(self, api: Api, tenant: Tenant, three: list[Thread]) -> None:
        done = restored(tenant)
        assert (done["taken"], done["search_follows"]) == (3, 9)
        assert (found(api), found_in_console()) == (0, 0)
        assert len(api.get(f"/threads/{three[0].wire_id}").json()["messages"]) == 3
        assert catch_up() is False
        assert (found(api), found_in_console()) == (9, 3)
        assert search_backlog.waiting() == 0

    def test_the_first_threads_of_a_command_are_found_at_once(
        self, api: Api, tenant: Tenant, three: list[Thread]
    ) -> None:
        done = run("restore_threads", f"--workspace={tenant.workspace.wire_id}", "--yes", "--batch-size=1")
        assert (done[0]["taken"], done[0]["search_follows"]) == (3, 6)
        assert found(api) == 3

    def test_what_failed_together_counts_once(
        self, api: Api, tenant: Tenant, three: list[Thread], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = restore.restore_all

        def fails(*, thread_ids: list[UUID], **options: Any) -> int:
            if three[-1].pk in thread_ids:
                raise restore.NotArchived
            return whole(thread_ids=thread_ids, **options)

        monkeypatch.setattr(restore, "restore_all", fails)
        done = by_hand.restore(
            selection=Selection(workspace_id=tenant.workspace.pk), now=NOW(), bounds=Bounds(), trashed=False,
            dry_run=False, progress=lambda taken: None,
        )  # fmt: skip
        assert (done.threads, len(done.faults)) == (2, 1)
        assert (found(api), search_backlog.waiting()) == (3, 3)

    def test_what_is_said_next_is_found_at_once(self, api: Api, tenant: Tenant, three: list[Thread]) -> None:
        restored(tenant)
        append(actor=tenant.actor, thread=three[0], drafts=[Draft(role="user", content="a new message")])
        assert found(api) == 1

    def test_the_command_and_doctor_say_so(self, tenant: Tenant, three: list[Thread], capsys: Any) -> None:
        call_command("restore_threads", workspace=tenant.workspace.pk, yes=True)
        assert "Search follows: 9 messages are found once a worker is through with them." in capsys.readouterr().err
        assert "9 messages" in examination.search().detail
        catch_up()
        assert examination.search().detail == "Every message can be found."
        (done,) = run("restore_threads", f"--workspace={tenant.workspace.wire_id}", "--yes")
        assert "search_follows" not in done

    def test_rows_that_are_there_already_keep_what_search_knows(self, api: Api, tenant: Tenant) -> None:
        thread = old_thread(tenant, 9, messages=6)
        kept = list(Message.objects.filter(thread=thread).order_by("position"))
        acts.archive(actor=tenant.actor, thread=thread, now=NOW())
        Message.objects.bulk_create(kept[:2])
        restore.restore(actor=tenant.actor, thread=thread, now=NOW())
        assert found(api) == 2
        assert search_backlog.waiting() == 4


class TestOfAnImport:
    def test_it_follows_beyond_the_first_threads(self, api: Api, tenant: Tenant) -> None:
        for _ in range(3):
            old_thread(tenant, 9)
        data = export(tenant)
        remove_all(tenant)
        assert bring_in(tenant, data).messages == 9
        assert (found(api), search_backlog.waiting()) == (3, 6)
        catch_up()
        assert found(api) == 9


class TestTheWorker:
    @pytest.fixture(autouse=True)
    def _waiting(self, tenant: Tenant, three: list[Thread]) -> None:
        restored(tenant)

    def test_its_job_comes_again_until_all_are_found(
        self, api: Api, monkeypatch: pytest.MonkeyPatch, worker: None
    ) -> None:
        # A message for each job. By the clock alone nine come in ninety seconds.
        monkeypatch.setattr(search_backlog, "PART_SECONDS", 0.0)
        monkeypatch.setattr(search_backlog, "BATCH", 1)
        deadline = time.monotonic() + 60
        own = ProcrastinateJob.objects.filter(task_name="threads.make_searchable")
        while (found(api) < 9 or own.exists()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert found(api) == 9

    def test_what_died_half_way_is_resumed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Died(BaseException):
            pass

        class Dying(Event):
            def wait(self, timeout: float | None = None) -> bool:
                raise Died

        with pytest.raises(Died):
            search_backlog.catch_up(stop=Dying())
        assert search_backlog.waiting() == 7
        assert catch_up() is False
        assert search_backlog.waiting() == 0
        assert catch_up() is False

    def test_a_batch_is_no_larger_however_it_is_planned(self) -> None:
        class Once(Event):
            def wait(self, timeout: float | None = None) -> bool:
                return True

        with connection.cursor() as cursor:  # by statistics of a time when nothing waited
            cursor.execute("UPDATE threads_message SET searchable = true")
            cursor.execute("ANALYZE threads_message")
            cursor.execute("UPDATE threads_message SET searchable = false")
        assert search_backlog.catch_up(stop=Once()) is True
        assert search_backlog.waiting() == 7

    def test_a_batch_reads_no_more_than_its_own_however_it_is_planned(self, tenant: Tenant) -> None:
        thread = old_thread(tenant, 9, messages=1)
        add_messages(thread, 2_000)
        # By statistics of a time when nothing waited, which a bulk restore leaves behind.
        with connection.cursor() as cursor:
            cursor.execute("UPDATE threads_message SET searchable = true")
            cursor.execute("ANALYZE threads_message")
            cursor.execute("UPDATE threads_message SET searchable = false")
        with transaction.atomic(), connection.cursor() as cursor:
            _, read, fetched = touched()
            cursor.execute(search_backlog.NEXT, [search_backlog.NOBODY, search_backlog.NOBODY, 10])
            assert len(cursor.fetchall()) == 10
            _, read_now, fetched_now = touched()
        assert read_now == read
        assert fetched_now - fetched <= 40

    def test_it_leaves_the_machine_to_a_sweep(self, other_connection: Any) -> None:
        other_connection.execute(sweeper.LOCK)
        assert catch_up() is False
        assert search_backlog.waiting() == 9
        other_connection.execute(sweeper.UNLOCK)
        catch_up()
        assert search_backlog.waiting() == 0

    def test_it_waits_for_nobody(self, other_connection: Any) -> None:
        locked = Message.objects.order_by("pk")[1]
        with other_connection.transaction():
            other_connection.execute("SELECT FROM threads_message WHERE id = %s FOR UPDATE", [locked.pk])
            assert catch_up() is False
            assert list(Message.objects.filter(searchable=False)) == [locked]
        catch_up()
        assert search_backlog.waiting() == 0

    def test_a_held_thread_becomes_searchable_and_stays_unchanged(
        self, api: Api, tenant: Tenant, three: list[Thread]
    ) -> None:
        holds.place(actor=tenant.actor, scope="workspace", reason="case", now=NOW())
        catch_up()
        assert found(api) == 9
        for change in ("content = 'another'", "content = 'another', searchable = false"):
            with pytest.raises(IntegrityError, match="legal hold"), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"UPDATE threads_message SET {change} WHERE thread_id = %s", [three[0].pk])


class TestWhileTheyWait:
    @pytest.fixture
    def waiting(self, tenant: Tenant, three: list[Thread]) -> Thread:
        restored(tenant)
        return Thread.objects.get(pk=three[0].pk)

    def test_the_same_thread_is_archived_with_the_same_hash(self, tenant: Tenant) -> None:
        thread = old_thread(tenant, 9, messages=6)
        hashes = []
        for _ in range(2):
            archived = acts.archive(actor=tenant.actor, thread=Thread.objects.get(pk=thread.pk), now=NOW())
            hashes.append(BundledThread.objects.get(thread_id=thread.pk).sha256)
            restore.restore(actor=tenant.actor, thread=archived, now=NOW())
            assert search_backlog.waiting() == 6
            Thread.objects.filter(pk=thread.pk).update(updated_at=thread.updated_at)
        assert hashes[0] == hashes[1]

    def test_archived_and_restored_again_they_are_found(self, api: Api, tenant: Tenant, waiting: Thread) -> None:
        archived = acts.archive(actor=tenant.actor, thread=waiting, now=NOW())
        restore.restore(actor=tenant.actor, thread=archived, now=NOW())
        assert found(api) == 3

    def test_they_are_deleted_as_any(self, tenant: Tenant, waiting: Thread) -> None:
        assert acts.delete(actor=tenant.actor, thread=waiting, now=NOW()) == "purge"
        assert search_backlog.waiting() == 6

    def test_a_copy_is_found_at_once(self, api: Api, tenant: Tenant, waiting: Thread) -> None:
        copy.copy(actor=tenant.actor, thread=waiting, now=NOW())
        assert found(api) == 3


def touched() -> tuple[int, int, int]:
    """In this transaction: scans of the index of words; messages that were read one after the other, and by index."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_stat_get_xact_numscans('message_text'::regclass), seq_tup_read, idx_tup_fetch"
            "  FROM pg_stat_xact_user_tables WHERE relname = 'threads_message'"
        )
        scans, read, fetched = cursor.fetchone()
        return scans, read, fetched


def add_messages(thread: Thread, last: int) -> None:
    """From the second position to the last, searchable."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO threads_message (id, workspace_id, thread_id, position, role, kind, content, extra, partial)"
            " SELECT gen_random_uuid(), %s, %s, n, 'user', 'text', 'number ' || n, '{}', false"
            " FROM generate_series(2, %s) AS n",
            [thread.workspace_id, thread.pk, last],
        )


class TestTheIndex:
    def test_a_search_uses_it(self, api: Api, tenant: Tenant) -> None:
        thread = old_thread(tenant, 9, messages=1)
        add_messages(thread, 3_000)
        with connection.cursor() as cursor:
            cursor.execute("SELECT gin_clean_pending_list('message_text')")
            cursor.execute("ANALYZE threads_message, threads_thread")
        scans, read, fetched = touched()
        assert found(api, "777") == 1
        more_scans, read_now, fetched_now = touched()
        assert more_scans > scans
        assert read_now == read
        assert fetched_now - fetched < 20

    def test_rows_from_before_it_are_found(self, api: Api, tenant: Tenant, at_the_end: None) -> None:
        old_thread(tenant, 9)
        with scope.as_owner():
            call_command("migrate", "threads", "0027", verbosity=0)
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM threads_message WHERE content LIKE 'message %'")
                assert cursor.fetchone() == (3,)
            call_command("migrate", verbosity=0)
        assert found(api) == 3
        assert search_backlog.waiting() == 0

    def test_a_migration_that_was_interrupted_begins_again(self, api: Api, tenant: Tenant, at_the_end: None) -> None:
        old_thread(tenant, 9)
        with scope.as_owner():
            call_command("migrate", "threads", "0028", verbosity=0)
            with connection.cursor() as cursor:
                cursor.execute("CREATE INDEX message_words ON threads_message (id)")
                cursor.execute("CREATE INDEX message_not_searchable ON threads_message (id)")
                cursor.execute("DROP INDEX message_text")
            call_command("migrate", verbosity=0)
        assert found(api) == 3


@pytest.fixture
def at_the_end(django_db_setup: None) -> Iterator[None]:
    """Whatever happens, the database is migrated afterwards."""
    yield
    with scope.as_owner():
        call_command("migrate", verbosity=0)


@pytest.fixture
def other_connection() -> Iterator[Any]:
    parameters = {
        key: value
        for key, value in connection.get_connection_params().items()
        if key in ("host", "port", "user", "password", "dbname")
    }
    with psycopg.connect(**parameters, autocommit=True) as other:
        other.execute("SELECT set_config('threadhub.door', 'migration', false)")
        yield other
