"""A database restored from a backup that is older than an erasure: the person goes again, nobody else loses a word."""

import os
import shutil
import threading
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread
from tests.lifecycle.test_commands import code, run
from threadhub.isolation import scope
from threads.lifecycle import acts, reading, restore
from threads.lifecycle.bundles import adoption, archive, audit_trail
from threads.lifecycle.erasure import erasures, ledger, replay
from threads.models import Bundle, Erasure, Thread

PERSON = "customer 4711"
TABLES = ("threads_threadcount", "threads_bundle", "threads_bundledthread", "threads_thread")
pytestmark = pytest.mark.django_db(transaction=True)


class Backup:
    """The rows of threads and bundles as they are now."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Any]] = {}
        with connection.cursor() as cursor:
            for table in TABLES:
                cursor.execute(f"SELECT to_jsonb(t)::text FROM {table} AS t")
                self.rows[table] = [row[0] for row in cursor.fetchall()]

    @transaction.atomic
    def restore(self) -> None:
        """They are those again, and the tables of erasures and tombstones empty; files stay as they are."""
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            for table in (*reversed(TABLES), "threads_erasure", "threads_tombstone"):
                cursor.execute(f"DELETE FROM {table}")
            for table in TABLES:
                for row in self.rows[table]:
                    cursor.execute(
                        f"INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, %s::jsonb)", [row]
                    )


@pytest.fixture
def restored(tenant: Tenant, archive_directory: str, tmp_path: Path) -> tuple[Thread, Thread, list[str | None]]:
    """A person's thread and a neighbour's were in one bundle, which the erasure rewrote; the database forgot that."""
    theirs, neighbour = old_thread(tenant, external_ref=PERSON), old_thread(tenant, 100)
    words = [message.content for message in neighbour.messages.order_by("position")]
    with transaction.atomic():
        ids = [theirs.pk, neighbour.pk]
        archive.archive(workspace_id=tenant.workspace.pk, thread_ids=ids, now=timezone.now())
    backup = Backup()
    shutil.copytree(archive_directory, tmp_path / "archive of then")
    actor = erasures.actors.system(tenant.workspace.pk)
    planned = erasures.plan(actor=actor, kind="external_ref", value=PERSON, now=timezone.now())
    code = erasures.code_of(tenant.workspace.pk, planned.plan_hash)
    erasures.confirm(actor=actor, erasure=planned, code=code, now=timezone.now())
    erasures.proceed(workspace_id=tenant.workspace.pk, erasure_id=planned.pk)
    backup.restore()
    assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults
    return theirs, neighbour, words


def said(thread: Thread) -> list[str | None]:
    return [message.content for message in reading.messages(Thread.objects.get(pk=thread.pk))]


def test_a_replay_takes_the_person_and_finds_the_neighbour(tenant: Tenant, restored: Any) -> None:
    _, neighbour, words = restored
    call_command("erase_person", "--replay", "--yes", stdout=StringIO(), stderr=StringIO())
    assert list(Thread.objects.all()) == [neighbour]
    assert said(neighbour) == words
    assert Erasure.objects.get().state == "done"
    assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults == []
    restore.restore(actor=tenant.actor, thread=Thread.objects.get(), now=timezone.now())
    assert said(neighbour) == words


def test_who_finds_threads_and_who_purges_them_do_not_wait_for_each_other(tenant: Tenant, restored: Any) -> None:
    """A purge has the thread's row before it writes a bundle, which the chain's lock is for."""
    _, neighbour, words = restored
    found = list[int]()

    def find() -> None:
        try:
            with scope.within(tenant.workspace.pk):
                found.append(adoption.adopt(workspace_id=tenant.workspace.pk, now=timezone.now()))
        finally:
            connections.close_all()

    finding = threading.Thread(target=find)
    with transaction.atomic():
        Thread.objects.select_for_update().get(pk=neighbour.pk)
        finding.start()
        with connection.cursor() as cursor:
            for _ in range(500):
                cursor.execute("SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))")
                if cursor.fetchone()[0]:
                    break
                time.sleep(0.02)
            cursor.execute(archive.CHAIN_LOCK, [str(tenant.workspace.pk)])
    finding.join(20)
    assert found == [1]
    assert said(neighbour) == words


def test_a_sweep_leaves_to_a_replay_what_is_known_by_its_id_alone(tenant: Tenant, restored: Any) -> None:
    theirs, neighbour, _ = restored
    begun, _ = replay.begin(workspace_id=tenant.workspace.pk, now=timezone.now())
    Erasure.objects.update(digests=[])  # as under another key
    assert [each.state for each in begun] == ["running"]
    ids = [theirs.pk, neighbour.pk]
    assert ledger.asked_for(workspace_id=tenant.workspace.pk, thread_ids=ids) == {theirs.pk}


def test_nobody_who_was_erased_is_restored_before_a_replay(
    tenant: Tenant, restored: Any, archive_directory: str, tmp_path: Path
) -> None:
    """Database and bundles are of before the erasure; only the ledger is of after it."""
    theirs, neighbour, words = restored
    shutil.copytree(tmp_path / "archive of then", archive_directory, dirs_exist_ok=True)
    err = StringIO()
    workspace = f"--workspace={tenant.workspace.wire_id}"
    with pytest.raises(CommandError) as ended:
        call_command("restore_threads", workspace, "--yes", stdout=StringIO(), stderr=err)
    assert ended.value.returncode == 1
    assert f"{theirs.wire_id}: Somebody who was erased is in it" in err.getvalue()
    assert dict(Thread.objects.values_list("pk", "state")) == {theirs.pk: "archived", neighbour.pk: "active"}
    assert said(neighbour) == words
    with pytest.raises(ledger.PersonErased):
        restore.restore(actor=tenant.actor, thread=theirs, now=timezone.now())
    Thread.objects.filter(pk=theirs.pk).update(state="trashed", trashed_at=timezone.now(), purge_after=timezone.now())
    assert code("restore_threads", f"--thread={theirs.wire_id}", "--trashed", "--yes") == 1
    assert Thread.objects.get(pk=theirs.pk).state == "trashed"


def test_who_comes_again_after_the_erasure_is_a_new_acquaintance(tenant: Tenant, restored: Any) -> None:
    again = acts.archive(actor=tenant.actor, thread=old_thread(tenant, 0, external_ref=PERSON), now=timezone.now())
    assert restore.restore(actor=tenant.actor, thread=again, now=timezone.now()).state == "active"


def test_nothing_is_collected_that_the_older_catalogue_needs(
    tenant: Tenant, restored: Any, archive_directory: str
) -> None:
    _, neighbour, words = restored
    for path in Path(archive_directory).rglob("*"):
        os.utime(path, (0, 0))
    assert run("collect_orphan_bundles", "--yes")[0]["removed"] == []  # the orphan is in use again
    assert said(neighbour) == words
    assert Bundle.objects.filter(removed_at__isnull=True).count() == 2  # the lost one still has the person's thread


def test_what_is_not_the_very_same_is_not_taken(tenant: Tenant, restored: Any, archive_directory: str) -> None:
    (path,) = Path(archive_directory).rglob("threads.jsonl.zst")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert adoption.adopt(workspace_id=tenant.workspace.pk, now=timezone.now()) == 0
