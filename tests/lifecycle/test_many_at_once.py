"""Many threads are archived and restored in as many questions as one, with the bytes and rows of the plain way."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Tenant
from tests.lifecycle.bundled import full_thread, rows
from tests.lifecycle.conftest import old_thread
from threads.lifecycle import acts, restore
from threads.lifecycle.bundles import archive, live, writer
from threads.lifecycle.bundles.reader import ThreadReader
from threads.lifecycle.bundles.verify import Damaged
from threads.lifecycle.staging import RestoreConflict
from threads.models import Branch, Bundle, BundledThread, Message, Thread
from threads.path import Path as Positions

NOW = timezone.now
# As a client can send them and PostgreSQL keeps them; the plain way reads numbers without bounds too.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=4)


def both_ways(workspace_id: Any, ids: list[Any]) -> None:
    lines = live.Lines(workspace_id, ids)
    at_once = [list(lines.of(number)) for number, _ in enumerate(ids, start=1)]
    lines.end()
    assert at_once == [list(archive.live_lines(workspace_id, id)) for id in ids]


def archived(tenant: Tenant, count: int, messages: int = 3) -> list[Thread]:
    threads = [old_thread(tenant, 3 + number, messages=messages) for number in range(count)]
    with transaction.atomic():
        archive.archive(workspace_id=tenant.workspace.pk, thread_ids=[each.pk for each in threads], now=NOW())
    return threads


def restored(tenant: Tenant, threads: list[Thread]) -> int:
    """How many questions it took."""
    with CaptureQueriesContext(connection) as asked:
        restore.restore_all(
            actor=tenant.actor, workspace_id=tenant.workspace.pk, thread_ids=[each.pk for each in threads], now=NOW()
        )
    return len(asked)


class TestTheSameBytes:
    def test_of_threads_with_everything_and_with_nothing(self, tenant: Tenant) -> None:
        full, empty, small = full_thread(tenant), old_thread(tenant, 5, messages=0), old_thread(tenant, 4)
        path = Positions(((1, 2), (4, None)))
        Branch.objects.create(workspace_id=full.workspace_id, thread=full, number=1, path=path, message_count=3)
        Thread.objects.filter(pk=full.pk).update(path=path)
        for order in ([full, empty, small], [small, full, empty]):
            with transaction.atomic():
                both_ways(tenant.workspace.pk, [each.pk for each in order])

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        content=st.none() | TEXTS,
        extra=OBJECTS,
        result=JSON,
        calls=st.lists(OBJECTS, max_size=2),
        micros=st.integers(0, 999_999),
    )
    def test_of_whatever_a_message_holds(
        self, tenant: Tenant, content: str | None, extra: Any, result: Any, calls: Any, micros: int
    ) -> None:
        with transaction.atomic():
            thread = Thread.objects.create(
                workspace=tenant.workspace, agent=tenant.agent, message_count=1, last_position=1
            )
            Message.objects.create(
                workspace_id=thread.workspace_id, thread=thread, position=1, role="tool", content=content, extra=extra,
                tool_calls=calls, tool_result=result, usage={"cost": "0.5"}, run_id=uuid4(),
                sent_at=NOW().replace(microsecond=micros),
            )  # fmt: skip
            both_ways(tenant.workspace.pk, [thread.pk])
            before = rows(thread)
            archive.archive(workspace_id=thread.workspace_id, thread_ids=[thread.pk], now=NOW())
            restored(tenant, [thread])
            assert rows(thread) == before
            transaction.set_rollback(True)

    @pytest.mark.parametrize("number", ["1e30", "123456789012345678901234567890", "0.12345678901234567890123", "-1e-7"])
    def test_of_numbers_beyond_64_bits(self, tenant: Tenant, number: str) -> None:
        thread = old_thread(tenant, 3)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE threads_message SET extra = %s::jsonb WHERE thread_id = %s", [f'{{"n": {number}}}', thread.pk]
            )
        with transaction.atomic():
            both_ways(tenant.workspace.pk, [thread.pk])

    def test_rows_that_come_in_another_order_are_never_left_out(self, tenant: Tenant) -> None:
        threads = [old_thread(tenant, 3 + number) for number in range(2)]
        with transaction.atomic():
            lines = live.Lines(tenant.workspace.pk, [each.pk for each in threads])
            list(lines.of(2))
            with pytest.raises(RuntimeError, match="order"):
                lines.end()


class TestQuestions:
    def test_a_disk_that_is_full_half_way_ends_it_in_a_sentence(self, tenant: Tenant, monkeypatch: Any) -> None:
        """While the database is still telling rows: they are not waited for, and the transaction is taken back."""
        threads = [old_thread(tenant, messages=3) for _ in range(3)]
        monkeypatch.setattr(writer, "WAITING_BYTES", 1)

        def write(self: Any, frame: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(writer.BundleWriter, "_write", write)
        with pytest.raises(OSError, match="No space left"), transaction.atomic():
            archive.archive(workspace_id=tenant.workspace.pk, thread_ids=[each.pk for each in threads], now=NOW())
        assert Message.objects.count() == 9

    def test_rows_that_are_left_over_end_it_too(self, tenant: Tenant, monkeypatch: Any) -> None:
        threads = [old_thread(tenant, messages=3) for _ in range(3)]
        monkeypatch.setattr(live.Lines, "of", lambda self, number: iter([next(self.rows)[1]]))
        with pytest.raises(RuntimeError, match="not in their order"), transaction.atomic():
            archive.archive(workspace_id=tenant.workspace.pk, thread_ids=[each.pk for each in threads], now=NOW())
        assert Message.objects.count() == 9

    def test_archiving_many_asks_no_more_than_archiving_one(self, tenant: Tenant) -> None:
        asked = []
        for count in (1, 12):
            with CaptureQueriesContext(connection) as queries:
                threads = [old_thread(tenant, 9 + number) for number in range(count)]
                before = len(queries)
                with transaction.atomic():
                    archive.archive(workspace_id=tenant.workspace.pk, thread_ids=[t.pk for t in threads], now=NOW())
                asked.append(len(queries) - before)
        assert asked[0] == asked[1]

    def test_restoring_many_asks_no_more_than_restoring_one(self, tenant: Tenant) -> None:
        assert restored(tenant, archived(tenant, 12)) == restored(tenant, archived(tenant, 1))
        assert Message.objects.count() == 13 * 3
        assert not BundledThread.objects.exists()
        assert Bundle.objects.filter(removed_at__isnull=True).count() == 0

    def test_the_locks_of_a_transaction_do_not_grow_with_its_threads(self, tenant: Tenant) -> None:
        held = []
        for count in (1, 12):
            threads = archived(tenant, count)
            with transaction.atomic():
                for thread in threads:
                    restore.restore(actor=tenant.actor, thread=thread, now=NOW())
                with connection.cursor() as cursor:
                    cursor.execute("SELECT count(DISTINCT relation) FROM pg_locks WHERE pid = pg_backend_pid()")
                    held.append(cursor.fetchone()[0])
        assert held[0] == held[1]


class TestOneThatFails:
    def test_the_others_are_restored_and_it_is_named(self, tenant: Tenant, capsys: Any) -> None:
        threads = archived(tenant, 4)
        entry = BundledThread.objects.get(thread_id=threads[1].pk)
        BundledThread.objects.filter(pk=entry.pk).update(sha256="0" * 64)
        with pytest.raises(CommandError) as ended:
            call_command("restore_threads", workspace=tenant.workspace.pk, yes=True)
        assert ended.value.returncode == 4
        states = dict(Thread.objects.values_list("pk", "state"))
        assert [states[each.pk] for each in threads] == ["active", "archived", "active", "active"]
        assert threads[1].wire_id in capsys.readouterr().err
        assert Message.objects.count() == 9

    def test_an_id_that_another_thread_has_is_a_conflict(self, tenant: Tenant) -> None:
        thread, other = old_thread(tenant, 3), old_thread(tenant, 3)
        taken = Message.objects.filter(thread=thread).latest("position").pk
        acts.archive(actor=tenant.actor, thread=thread, now=NOW())
        Message.objects.create(id=taken, workspace=tenant.workspace, thread=other, position=9, role="user")
        with pytest.raises(RestoreConflict, match="Another message has the place"):
            restored(tenant, [thread])
        assert Message.objects.count() == 4

    def test_a_record_of_a_newer_version_is_refused_in_a_sentence(self, tenant: Tenant, monkeypatch: Any) -> None:
        (thread,) = archived(tenant, 1)
        checked = ThreadReader.checked

        def newer(reader: ThreadReader) -> Any:
            for line, record in checked(reader):
                yield line, {**record, "mood": "glad"} if record["type"] == "message" else record

        monkeypatch.setattr(ThreadReader, "checked", newer)
        with pytest.raises(Damaged, match="no column 'mood'"):
            restored(tenant, [thread])
        assert Message.objects.count() == 0

    def test_what_the_database_cannot_read_is_damage(self, tenant: Tenant, monkeypatch: Any) -> None:
        (thread,) = archived(tenant, 1)
        checked = ThreadReader.checked

        def broken(reader: ThreadReader) -> Any:
            for line, record in checked(reader):
                yield line, {**record, "created_at": "noon"} if record["type"] == "message" else record

        monkeypatch.setattr(ThreadReader, "checked", broken)
        with pytest.raises(Damaged, match="noon"):
            restored(tenant, [thread])
        assert Message.objects.count() == 0

    def test_an_older_record_gets_the_defaults_of_what_came_later(self, tenant: Tenant, monkeypatch: Any) -> None:
        (thread,) = archived(tenant, 1)
        checked = ThreadReader.checked

        def older(reader: ThreadReader) -> Any:
            for line, record in checked(reader):
                yield line, {name: value for name, value in record.items() if name not in ("partial", "usage")}

        monkeypatch.setattr(ThreadReader, "checked", older)
        restored(tenant, [thread])
        assert set(Message.objects.values_list("partial", "usage")) == {(False, None)}


def test_a_giant_message_is_fetched_with_few_others(tenant: Tenant, archive_directory: str) -> None:
    thread = old_thread(tenant, 3, messages=120)
    Message.objects.filter(thread=thread, position__gt=60).update(content="x" * 200_000)
    with transaction.atomic():
        both_ways(tenant.workspace.pk, [thread.pk])
        archive.archive(workspace_id=thread.workspace_id, thread_ids=[thread.pk], now=NOW())
    assert json.loads(next(Path(archive_directory).rglob("manifest.json")).read_text())["counts"]["message"] == 120
    restored(tenant, [thread])
    assert Message.objects.filter(thread=thread, content="x" * 200_000).count() == 60
    Thread.objects.filter(pk=thread.pk, exempt_until__gt=NOW() + timedelta(days=6)).get()
