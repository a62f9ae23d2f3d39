"""What happens seldom and must go well then: two at once, half-way, huge, old, and somewhere else."""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import ProtectedError
from django.utils import timezone

from tests.conftest import Api, Tenant
from tests.lifecycle.bundled import full_thread, rows
from tests.lifecycle.conftest import old_thread, policy, sweep
from tests.lifecycle.test_commands import code, run
from tests.lifecycle.test_sweeps import everything
from threads.actions import threads
from threads.actions.messages import Draft, append
from threads.lifecycle import acts, census, holds, purge, reading, restore
from threads.lifecycle.bundles import archive as bundling
from threads.lifecycle.bundles import audit_trail, records, verify
from threads.models import Bundle, BundledThread, Hold, Message, Sweep, Thread, Tombstone

NOW = timezone.now
DEADLINE = 30.0
pytestmark = pytest.mark.django_db(transaction=True)


def until(met: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not met():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def somebody_waits() -> bool:
    """Whether a connection waits for another's lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def sound(workspace_id: Any) -> None:
    """Every thread is in one place, and what the archive has is what was written."""
    for thread in Thread.objects.filter(workspace_id=workspace_id):
        entry = BundledThread.objects.filter(thread_id=thread.pk).exists()
        live = Message.objects.of_thread(thread).exists()
        assert (thread.state == "archived") == entry
        assert not (entry and live)
        assert not Tombstone.objects.filter(thread_id=thread.pk).exists()
    assert audit_trail.verify(workspace_id=workspace_id).faults == []


@contextmanager
def meanwhile(act: Callable[[], Any]) -> Iterator[Any]:
    """Something that another process does, on a connection of its own."""

    def on_its_own() -> Any:
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(on_its_own)


def held_up(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> tuple[threading.Event, threading.Event]:
    """A step that says when it is reached and then waits to be let go."""
    reached, go = threading.Event(), threading.Event()
    original = getattr(owner, name)

    def step(*args: Any, **options: Any) -> Any:
        reached.set()
        assert go.wait(DEADLINE)
        return original(*args, **options)

    monkeypatch.setattr(owner, name, step)
    return reached, go


class TestTwoAtOnce:
    def test_who_asks_while_it_is_being_archived_is_told_so(
        self, api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        thread = old_thread(tenant)
        reached, go = held_up(monkeypatch, bundling.Removal, "begin")
        with meanwhile(lambda: acts.archive(actor=tenant.actor, thread=thread, now=NOW())) as archiving:
            assert reached.wait(DEADLINE)
            with meanwhile(lambda: api.post(f"/threads/{thread.wire_id}/invoke", {"prompt": "hello"})) as asking:
                until(somebody_waits)
                go.set()
                archiving.result()
                refused = asking.result()
        assert (refused.status_code, refused.json()["code"]) == (409, "thread_archived")
        sound(tenant.workspace.pk)
        assert len(list(reading.messages(Thread.objects.get()))) == 3
        restore.restore(actor=tenant.actor, thread=Thread.objects.get(), now=NOW())
        assert Message.objects.count() == 3

    def test_a_client_that_deletes_what_a_sweep_has_in_hand_finds_it_gone(
        self, api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        policy(tenant)
        first, second = old_thread(tenant, 101), old_thread(tenant, 100)
        reached, go = held_up(monkeypatch, purge, "destroy")
        with meanwhile(lambda: sweep(tenant)) as sweeping:
            assert reached.wait(DEADLINE)
            with meanwhile(lambda: api.delete(f"/threads/{first.wire_id}")) as deleting:
                until(somebody_waits)
                go.set()
                assert sweeping.result().taken == 2
                assert deleting.result().status_code == 404
        assert set(Tombstone.objects.values_list("thread_id", "reason")) == {
            (first.pk, "policy"), (second.pk, "policy"),
        }  # fmt: skip
        assert Message.objects.count() == 0

    def test_a_sweep_passes_by_what_a_client_is_deleting(
        self, api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        policy(tenant)
        first, second = old_thread(tenant, 101), old_thread(tenant, 100)
        reached, go = held_up(monkeypatch, purge, "remove")
        with meanwhile(lambda: api.delete(f"/threads/{first.wire_id}")) as deleting:
            assert reached.wait(DEADLINE)
            monkeypatch.undo()
            assert sweep(tenant).taken == 1
            go.set()
            assert deleting.result().status_code == 200
        assert set(Tombstone.objects.values_list("thread_id", "reason")) == {
            (first.pk, "client"), (second.pk, "policy"),
        }  # fmt: skip

    def test_a_hold_waits_for_the_batch_in_hand_and_keeps_all_that_comes_after(
        self, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        policy(tenant)
        first, second = old_thread(tenant, 101), old_thread(tenant, 100)
        reached, go = held_up(monkeypatch, purge, "destroy")

        def place() -> None:
            holds.place(actor=tenant.actor, scope="workspace", reason="case", now=NOW())

        with meanwhile(lambda: sweep(tenant, batch_size=1)) as sweeping:
            assert reached.wait(DEADLINE)
            with meanwhile(place) as placing:
                until(somebody_waits)
                assert not Hold.objects.exists()  # nobody was told yet that anything is held
                go.set()
                placing.result()
                done = sweeping.result()
        assert (done.taken, done.skips["held"]) == (1, 1)
        assert Tombstone.objects.get().thread_id == first.pk
        assert Thread.objects.get() == second
        assert Message.objects.count() == 3


class Died(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("action", ["archive", "purge"])
def test_a_sweep_that_died_half_way_is_finished_by_the_next(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    policy(tenant, action)
    every = [old_thread(tenant, 100 + n) for n in range(5)]
    young = old_thread(tenant, 1)
    owner, name = (bundling, "archive") if action == "archive" else (purge, "destroy")
    original, calls = getattr(owner, name), []

    def dies(**options: Any) -> Any:
        calls.append(1)
        done = original(**options)
        if len(calls) == 2:
            raise Died
        return done

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dies)
        with pytest.raises(Died):
            sweep(tenant, batch_size=2)
    done = {"archive": Thread.objects.filter(state="archived").count(), "purge": Tombstone.objects.count()}
    assert done[action] == 2
    assert Sweep.objects.count() == 0  # what died has no report
    assert sweep(tenant, batch_size=2, brake=False).taken == 3
    counted = census.take(workspace_id=tenant.workspace.pk, until=timezone.now())
    assert counted == {"active": 1, "archived": 0, "trashed": 0, "purged": 0, DONE[action]: len(every)}
    assert Message.objects.of_thread(young).count() == 3
    if action == "archive":
        sound(tenant.workspace.pk)


DONE = {"archive": "archived", "purge": "purged"}


class TestOtherFileSystem:
    @pytest.fixture
    def elsewhere(self) -> Iterator[Path]:
        """A directory on another file system than that of temporary files and the archive."""
        directory = Path(tempfile.mkdtemp(dir="/dev/shm"))
        assert directory.stat().st_dev != os.stat(tempfile.gettempdir()).st_dev
        yield directory
        shutil.rmtree(directory)

    def test_the_archive_may_be_on_another(self, tenant: Tenant, settings: Any, elsewhere: Path) -> None:
        backend = "django.core.files.storage.FileSystemStorage"
        settings.STORAGES = {
            **settings.STORAGES, "archive": {"BACKEND": backend, "OPTIONS": {"location": str(elsewhere)}},
        }  # fmt: skip
        thread = full_thread(tenant)
        archived = acts.archive(actor=tenant.actor, thread=thread, now=NOW())
        sound(tenant.workspace.pk)
        restore.restore(actor=tenant.actor, thread=archived, now=NOW())
        assert Message.objects.count() == 5

    def test_a_part_of_it_on_another_is_refused_with_nothing_done(
        self, tenant: Tenant, archive_directory: str, elsewhere: Path
    ) -> None:
        thread = old_thread(tenant)
        (Path(archive_directory) / tenant.workspace.wire_id).symlink_to(elsewhere)
        before = rows(thread)
        assert code("archive_threads", "--inactive-for=1d", "--yes") == 1
        assert rows(thread) == before
        assert Thread.objects.get().state == "active"
        assert [path for path in Path(archive_directory).rglob("*") if path.is_file()] == []


def test_a_message_of_fifty_megabytes(api: Api, tenant: Tenant) -> None:
    thread = old_thread(tenant)
    text = "Fünfzig 🐎 " * (50 * 2**20 // 14)
    assert len(text.encode()) > 48 * 2**20
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content=text)])
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="after it")])
    archived = acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    sound(tenant.workspace.pk)
    page = api.get(f"/threads/{thread.wire_id}/messages?order=desc&take=1").json()["data"]
    assert [each["content"] for each in page] == ["after it"]
    huge = reading.message(archived, next(m.pk for m in reading.messages(archived) if m.position == 4))
    assert huge is not None
    assert huge.content == text
    restore.restore(actor=tenant.actor, thread=archived, now=NOW())
    assert Message.objects.get(position=4).content == text
    assert Message.objects.count() == 5


def test_a_tool_call_that_is_cut_from_its_result(api: Api, tenant: Tenant) -> None:
    thread = old_thread(tenant)
    call = [{"id": "c1", "name": "t", "arguments": {"n": 2**63}}]
    (asked, result) = append(actor=tenant.actor, thread=thread, drafts=[
        Draft(role="assistant", content=None, tool_calls=call),
        Draft(role="tool", tool_call_id="c1", tool_result={"r": 1}, name="t"),
    ])  # fmt: skip
    api.delete(f"/threads/{thread.wire_id}/messages/{result.wire_id}")
    before = rows(thread)
    archived = acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    sound(tenant.workspace.pk)
    assert [each.pk for each in reading.messages(archived)][-1] == asked.pk
    restore.restore(actor=tenant.actor, thread=archived, now=NOW())
    assert rows(thread) == before
    assert api.post(f"/threads/{thread.wire_id}/messages", {"role": "user", "content": "and?"}).status_code == 201


def test_its_agent_was_disabled_meanwhile(api: Api, tenant: Tenant) -> None:
    thread = full_thread(tenant)
    before = rows(thread)
    archived = acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    assert api.patch(f"/agents/{tenant.agent.wire_id}", {"active": False}).status_code == 200
    assert api.get(f"/threads/{thread.wire_id}/messages").json()["count"] == 5
    assert api.post(f"/threads/{thread.wire_id}/unarchive").status_code == 200
    assert {kind: found for kind, found in rows(thread).items() if kind != "run"} == {
        kind: found for kind, found in before.items() if kind != "run"
    }
    assert api.post(f"/threads/{thread.wire_id}/invoke", {"prompt": "x"}).status_code == 409
    assert archived.agent_id == tenant.agent.pk


def test_an_agent_with_archived_threads_cannot_be_deleted(api: Api, tenant: Tenant) -> None:
    thread = old_thread(tenant)
    acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    with pytest.raises(ProtectedError):
        tenant.agent.delete()
    assert api.delete(f"/agents/{tenant.agent.wire_id}").json()["active"] is False  # to clients it is disabled
    restore.restore(actor=tenant.actor, thread=Thread.objects.get(), now=NOW())
    assert Message.objects.count() == 3


class TestReference:
    def put(self, api: Api, tenant: Tenant, reference: str) -> dict[str, Any]:
        path = f"/agents/{tenant.agent.wire_id}/threads/by-ref/{reference}"
        response = api.put(path, "{}", content_type="application/json")
        assert response.status_code in (200, 201), response.content
        found: dict[str, Any] = response.json()
        return found

    def test_after_a_purge_it_is_of_a_new_thread(self, api: Api, tenant: Tenant) -> None:
        old = old_thread(tenant, external_ref="order-7")
        policy(tenant)
        assert sweep(tenant).taken == 1
        new = self.put(api, tenant, "order-7")
        assert new["id"] != old.wire_id
        assert (Tombstone.objects.get().thread_id, Thread.objects.get().wire_id) == (old.pk, new["id"])
        assert Message.objects.count() == 0  # nothing of the old one shows

    def test_taken_at_restore_both_have_it_and_the_newer_is_found(self, api: Api, tenant: Tenant) -> None:
        old = old_thread(tenant, external_ref="order-7")
        archived = acts.archive(actor=tenant.actor, thread=old, now=NOW())
        new = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=NOW(), external_ref="order-7")
        restored = restore.restore(actor=tenant.actor, thread=archived, now=NOW())
        assert restored.external_ref == "order-7"
        assert Message.objects.of_thread(restored).count() == 3
        assert self.put(api, tenant, "order-7")["id"] == new.wire_id
        assert Thread.objects.count() == 2


class TestSchema:
    def without(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        """Bundles are written as by a version that did not know these columns."""
        known = records.columns

        def older(model: Any) -> Any:
            return tuple(column for column in known(model) if model is not Message or column.name not in names)

        monkeypatch.setattr(records, "columns", older)

    def test_a_bundle_from_before_a_column_gives_it_its_default(
        self, api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        thread = full_thread(tenant)
        before = [message.pk for message in Message.objects.of_thread(thread)]
        with monkeypatch.context() as patch:
            self.without(patch, "extra", "usage", "partial", "sent_at", "kind")
            archived = acts.archive(actor=tenant.actor, thread=thread, now=NOW())
        sound(tenant.workspace.pk)
        read = api.get(f"/threads/{thread.wire_id}/messages").json()["data"]
        assert {(each["partial"], str(each["extra"])) for each in read} == {(False, "{}")}
        restore.restore(actor=tenant.actor, thread=archived, now=NOW())
        assert [message.pk for message in Message.objects.of_thread(thread)] == before
        assert set(Message.objects.values_list("kind", "partial")) == {("text", False)}

    def test_one_of_a_newer_version_is_refused_and_nothing_changes(
        self, api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        thread = old_thread(tenant)
        acts.archive(actor=tenant.actor, thread=thread, now=NOW())
        self.without(monkeypatch, "extra")  # now this version does not know what stands in the bundle
        before = everything()
        refused = api.post(f"/threads/{thread.wire_id}/unarchive")
        assert (refused.status_code, refused.json()["code"]) == (502, "bundle_damaged")
        assert code("restore_threads", f"--thread={thread.wire_id}", "--yes") == 4
        rows_now = [(table, found) for table, found in everything() if table not in LOGS]
        assert rows_now == [(table, found) for table, found in before if table not in LOGS]

    def test_a_manifest_of_another_format_is_found(self, tenant: Tenant, archive_directory: str) -> None:
        acts.archive(actor=tenant.actor, thread=old_thread(tenant), now=NOW())
        (path,) = Path(archive_directory).rglob("manifest.json")
        path.write_text(path.read_text().replace("threadhub-archive/1", "threadhub-archive/2"))
        with pytest.raises(verify.Damaged, match="format"):
            verify.whole(path=Bundle.objects.get().path, workspace=tenant.workspace.wire_id)
        assert code("verify_archives") == 4


LOGS = ("audit_auditevent", "threads_sweep", "audit_accesscount", "django_session", "limits_bucket")


def test_an_empty_plan_changes_nothing(tenant: Tenant) -> None:
    policy(tenant)
    old_thread(tenant, 1)
    before = [(table, found) for table, found in everything() if table not in LOGS]
    assert run("retention_plan")[0]["due"] == 0
    done = run("retention_apply", "--yes")[0]
    assert (done["taken"], done["ended"], done["bundles"]) == (0, "done", [])
    assert run("archive_threads", "--inactive-for=90d", "--yes")[0]["taken"] == 0
    assert run("restore_threads", f"--workspace={tenant.workspace.wire_id}", "--yes")[0]["taken"] == 0
    assert run("purge_trash", "--yes")[0]["taken"] == 0
    assert [(table, found) for table, found in everything() if table not in LOGS] == before
    assert Bundle.objects.count() == 0
