"""Archive, read, restore: nothing is lost, doubled or changed, and what is damaged is refused."""

import hashlib
import json
import os
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from tests.conftest import Api, Tenant
from tests.lifecycle.conftest import old_thread, policy, sweep
from threadhub.lib.version import VERSION
from threads.actions import feedback
from threads.actions.messages import Draft, append
from threads.attachments import Upload
from threads.lifecycle import acts, candidates, reading, restore, staging
from threads.lifecycle.bundles import audit_trail, orphans, records, verify, writer
from threads.lifecycle.bundles.verify import Damaged
from threads.models import (
    Attachment,
    Bundle,
    BundledThread,
    Message,
    Note,
    Run,
    RunEvent,
    Summary,
    Thread,
    ToolUse,
)

NOW = timezone.now
LOADS = json.loads


def full_thread(tenant: Tenant) -> Thread:
    """With everything that a thread can have."""
    thread = old_thread(tenant, 3, messages=2, metadata={"plan": "gold", "big": 2**53 + 1}, external_ref="ref")
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="tell me")])
    (said,) = append(actor=tenant.actor, thread=thread, drafts=[Draft(role="assistant", content="so it is")])
    run = Run.objects.create(
        workspace_id=thread.workspace_id, thread=thread, agent=tenant.agent, number=1, status="succeeded",
        answer_id=said.pk, input_tokens=3, output_tokens=4, cost="0.000000000012", finished_at=NOW(), started_at=NOW(),
    )  # fmt: skip
    RunEvent.objects.create(workspace_id=run.workspace_id, run=run, seq=1, type="message_start", data={"id": "x"})
    draft = Draft(
        role="user",
        content='žluťoučký kůň \u2028 \u202e 🐎\r\n\t"',
        extra={"n": 2**63 - 1, "f": 1.5, "deep": [{"a": None}]},
        uploads=[Upload("a.txt", "text/plain", b"file")],
    )
    append(actor=tenant.actor, thread=thread, drafts=[draft])
    last = Message.objects.of_thread(thread).filter(role="assistant").last()
    assert last is not None
    feedback.give(actor=tenant.actor, thread=thread, message=last, rating=1, now=NOW(), tags=["good", "fast"])
    Summary.objects.create(workspace_id=thread.workspace_id, thread=thread, from_position=1, to_position=2, text="s")
    thread.refresh_from_db()
    return thread


def rows(thread: Thread) -> dict[str, list[Any]]:
    found = {}
    with connection.cursor() as cursor:
        for kind, model, order in records.PARTS:
            cursor.execute(
                f"SELECT to_jsonb(t)::text FROM {model._meta.db_table} AS t WHERE thread_id = %s ORDER BY {order}",
                [thread.pk],
            )
            found[kind] = cursor.fetchall()
    return found


def files(directory: str) -> list[Path]:
    return sorted(path for path in Path(directory).rglob("*") if path.is_file())


def crash_after_archiving(tenant: Tenant, thread: Thread) -> None:
    """The bundle is there, the transaction is not committed."""

    def archive() -> None:
        with transaction.atomic():
            acts.archive(actor=tenant.actor, thread=thread, now=NOW())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        archive()


def test_what_is_archived_and_restored_is_what_it_was(tenant: Tenant, archive_directory: str) -> None:
    thread = full_thread(tenant)
    policy_runs = Run.objects.get()
    archived = acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    before_runs = reading.runs(archived)
    assert [run.pk for run in before_runs] == [policy_runs.pk]
    assert {kind: len(found) for kind, found in rows(thread).items()} == dict.fromkeys(dict(rows(thread)), 0)
    restored = restore.restore(actor=tenant.actor, thread=archived, now=NOW())
    again = rows(thread)
    second = acts.archive(actor=tenant.actor, thread=restored, now=NOW())
    restore.restore(actor=tenant.actor, thread=second, now=NOW())
    assert rows(thread) == again
    assert {kind: len(found) for kind, found in again.items()} == {
        "message": 5, "attachment": 1, "feedback": 1, "summary": 1, "run": 1, "approval": 0, "branch": 0,
    }  # fmt: skip


def test_every_row_comes_back_equal(tenant: Tenant) -> None:
    thread = full_thread(tenant)
    from threads.runs.replay import compact

    compact(run=Run.objects.get())
    before = rows(thread)
    assert all(before[kind] for kind in ("message", "attachment", "feedback", "summary", "run"))
    archived = acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    restored = restore.restore(actor=tenant.actor, thread=archived, now=NOW())
    assert rows(thread) == before
    assert (restored.last_activity_at, restored.created_at) == (thread.last_activity_at, thread.created_at)
    assert restored.exempt_until is not None


def test_everything_that_points_at_a_thread_is_a_part_of_it() -> None:
    known = {model for _, model, _ in records.PARTS}
    own = {relation.related_model for relation in Thread._meta.related_objects}
    assert own - known == {Note, ToolUse}, "these stay with the thread's row"


def test_a_bundle_is_readable_without_us(tenant: Tenant, archive_directory: str) -> None:
    thread = full_thread(tenant)
    acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    manifest_file, data = files(archive_directory)
    bundle = Bundle.objects.get()
    assert data.parent == Path(archive_directory) / bundle.path
    assert data.parent.relative_to(archive_directory).parts[1:3] == (
        f"{thread.created_at:%Y}",
        f"{thread.created_at:%m}",
    )
    text = zstandard.ZstdDecompressor().stream_reader(data.read_bytes(), read_across_frames=True).read()
    lines = [json.loads(line) for line in text.decode().split("\n")[:-1]]
    assert [line["type"] for line in lines] == [
        "thread", *["message"] * 5, "attachment", "feedback", "summary", "run",
    ]  # fmt: skip
    assert [line["position"] for line in lines if line["type"] == "message"] == [1, 2, 3, 4, 5]
    assert all(list(line) == sorted(line) for line in lines)
    assert len(lines[1]["created_at"].removesuffix("Z")) == 26
    assert lines[5]["extra"]["n"] == 2**63 - 1
    manifest = json.loads(manifest_file.read_text())
    assert manifest["format"] == "threadhub-archive/1"
    assert manifest["versions"] == {"product": VERSION, "records": 1}
    assert manifest["counts"]["message"] == 5


def test_a_retry_writes_the_same_file(tenant: Tenant, archive_directory: str) -> None:
    thread = full_thread(tenant)
    names = []
    for _ in range(2):
        crash_after_archiving(tenant, thread)
        names.append([(path, path.read_bytes()) for path in files(archive_directory)])
    assert names[0] == names[1]
    assert Message.objects.of_thread(thread).count() == 5
    assert Bundle.objects.count() == 0


class TestReading:
    def test_rest_reads_it_as_it_was(self, api: Api, tenant: Tenant) -> None:
        thread = full_thread(tenant)
        path = f"/threads/{thread.wire_id}"
        last = Message.objects.of_thread(thread).filter(role="assistant").last()
        file = Attachment.objects.get()
        assert last is not None
        paths = [
            f"{path}/messages", f"{path}/messages?order=desc&take=2", f"{path}/messages?after=1&before=4",
            f"{path}/messages?role=user", f"{path}/messages?before=3&take=1", f"{path}/messages/{last.wire_id}",
            f"{path}/messages/{last.wire_id}/feedback", f"{path}/runs", f"{path}/runs/{Run.objects.get().wire_id}",
        ]  # fmt: skip
        live = [api.get(each).json() for each in paths]
        whole = api.get(path).json()
        response = api.post(f"{path}/archive")
        assert (response.status_code, response.json()["state"]) == (200, "archived")
        assert [api.get(each).json() for each in paths] == live
        read = api.get(path).json()
        assert read["messages"] == whole["messages"]
        assert read["messages_count"] == 5
        assert b"".join(api.get(f"{path}/attachments/{file.wire_id}")) == b"file"
        listed = api.get("/threads?state=archived").json()["data"]
        assert [row["messages"] for row in listed] == [whole["messages"]]
        assert api.get(f"{path}/messages/msg_{'0' * 26}").status_code == 404

    def test_ai_reads_it_as_it_was(self, api: Api, tenant: Tenant) -> None:
        thread = full_thread(tenant)
        live = api.get(f"/api/ai/threads/{thread.wire_id}").json()
        acts.archive(actor=tenant.actor, thread=thread, now=NOW())
        read = api.get(f"/api/ai/threads/{thread.wire_id}").json()
        assert {**read, "updated": None} == {**live, "updated": None}

    def test_it_is_read_only(self, api: Api, tenant: Tenant) -> None:
        thread = full_thread(tenant)
        path = f"/threads/{thread.wire_id}"
        api.post(f"{path}/archive")
        last = reading.messages(Thread.objects.get())
        answered = next(message for message in last if message.role == "assistant")
        for response in (
            api.post(f"{path}/invoke", {"prompt": "hello"}),
            api.post(f"{path}/messages", {"role": "user", "content": "x"}),
            api.patch(path, {"title": "x"}, content_type="application/json"),
            api.delete(f"{path}/messages/{answered.wire_id}"),
            api.put(f"{path}/messages/{answered.wire_id}/feedback", {"rating": -1}, content_type="application/json"),
            api.post(f"{path}/archive"),
        ):
            assert (response.status_code, response.json()["code"]) == (409, "thread_archived"), response.content
        assert api.post(f"{path}/unarchive").json()["state"] == "active"
        assert api.post(f"{path}/unarchive").json()["code"] == "not_archived"
        assert api.post(f"{path}/messages", {"role": "user", "content": "x"}).status_code == 201

    def test_pages_of_a_long_thread_come_from_their_frames(
        self, api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "FRAME_BYTES", 2_000)
        thread = old_thread(tenant, messages=60)
        path = f"/threads/{thread.wire_id}/messages"
        live = [api.get(f"{path}?{query}").json() for query in QUERIES]
        acts.archive(actor=tenant.actor, thread=thread, now=NOW())
        assert len(BundledThread.objects.get().frames) > 5
        assert [api.get(f"{path}?{query}").json() for query in QUERIES] == live


QUERIES = [
    f"take={take}&order={order}{ends}"
    for take in (1, 7, 100)
    for order in ("asc", "desc")
    for ends in (
        "",
        "&after=0",
        "&after=30",
        "&before=30",
        "&after=20&before=41",
        "&after=59",
        "&before=2",
        "&after=60",
    )
]


class TestDamage:
    @pytest.fixture
    def archived(self, tenant: Tenant) -> Thread:
        return acts.archive(actor=tenant.actor, thread=full_thread(tenant), now=NOW())

    def refused(self, tenant: Tenant, thread: Thread) -> None:
        with pytest.raises(Damaged):
            restore.restore(actor=tenant.actor, thread=thread, now=NOW())
        assert Message.objects.count() == 0
        thread.refresh_from_db()
        assert thread.state == "archived"
        assert audit_trail.verify(workspace_id=thread.workspace_id).faults

    def test_one_flipped_bit_anywhere_is_found(self, tenant: Tenant, archived: Thread, archive_directory: str) -> None:
        _, data = files(archive_directory)
        good = data.read_bytes()
        for at in range(0, len(good), max(1, len(good) // 40)):
            data.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            assert audit_trail.verify(workspace_id=archived.workspace_id).faults, at
        middle = len(good) // 2
        data.write_bytes(good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :])
        self.refused(tenant, archived)
        data.write_bytes(good)
        assert audit_trail.verify(workspace_id=archived.workspace_id).faults == []
        restore.restore(actor=tenant.actor, thread=archived, now=NOW())

    @pytest.mark.parametrize("harm", ["missing", "truncated", "longer", "empty"])
    def test_a_broken_file_is_refused(
        self, tenant: Tenant, archived: Thread, archive_directory: str, harm: str, api: Api
    ) -> None:
        _, data = files(archive_directory)
        good = data.read_bytes()
        match harm:
            case "missing":
                data.unlink()
            case "truncated":
                data.write_bytes(good[:-20])
            case "longer":
                data.write_bytes(good + zstandard.compress(b'{"type":"message"}\n'))
                assert audit_trail.verify(workspace_id=archived.workspace_id).faults
                return
            case "empty":
                data.write_bytes(b"")
        self.refused(tenant, archived)
        response = api.get(f"/threads/{archived.wire_id}")
        assert (response.status_code, response.json()["code"]) == (502, "bundle_damaged")

    def test_an_altered_manifest_is_found(self, tenant: Tenant, archived: Thread, archive_directory: str) -> None:
        manifest, _ = files(archive_directory)
        good = manifest.read_text()
        for old, new in (("threadhub-archive/1", "threadhub-archive/2"), ('"message": 5', '"message": 4'), ("{", "")):
            manifest.write_text(good.replace(old, new, 1))
            assert audit_trail.verify(workspace_id=archived.workspace_id).faults, old

    def test_records_of_a_later_layout_are_refused(
        self, tenant: Tenant, archived: Thread, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for said in (0, 2, "1", None, True):
            with monkeypatch.context() as patch:
                patch.setattr(json, "loads", lambda text, said=said: {**LOADS(text), "versions": {"records": said}})
                with pytest.raises(Damaged, match="layout"):
                    verify.whole(path=Bundle.objects.get().path, workspace=tenant.workspace.wire_id)

    def test_a_manifest_from_before_there_were_versions_in_it_holds(
        self, tenant: Tenant, archived: Thread, archive_directory: str
    ) -> None:
        path, _ = files(archive_directory)
        old = {name: value for name, value in json.loads(path.read_text()).items() if name != "versions"}
        path.write_bytes(json.dumps(old, sort_keys=True, indent=1).encode() + b"\n")
        bundle = Bundle.objects.get()
        bundle.manifest_sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        bundle.save()
        assert audit_trail.verify(workspace_id=archived.workspace_id).faults == []
        restore.restore(actor=tenant.actor, thread=archived, now=NOW())

    def test_a_bundle_that_is_missing_from_the_chain_is_noticed(self, tenant: Tenant, archived: Thread) -> None:
        acts.archive(actor=tenant.actor, thread=old_thread(tenant), now=NOW())
        assert audit_trail.verify(workspace_id=archived.workspace_id).faults == []
        Bundle.objects.filter(number=2).update(previous="0" * 64)
        assert audit_trail.verify(workspace_id=archived.workspace_id).faults


class TestRestore:
    def test_twice_is_refused_and_changes_nothing(self, tenant: Tenant) -> None:
        thread = full_thread(tenant)
        archived = acts.archive(actor=tenant.actor, thread=thread, now=NOW())
        restore.restore(actor=tenant.actor, thread=archived, now=NOW())
        with pytest.raises(restore.NotArchived):
            restore.restore(actor=tenant.actor, thread=archived, now=NOW())
        assert Message.objects.count() == 5

    def test_an_identical_row_is_left_a_differing_one_aborts(self, tenant: Tenant) -> None:
        thread = full_thread(tenant)
        archived = acts.archive(actor=tenant.actor, thread=thread, now=NOW())
        kept = next(iter(reading.ArchivedMessages.of(archived)))
        kept.save(force_insert=True)
        Message.objects.update(content="forged")
        with pytest.raises(staging.RestoreConflict, match=str(kept.pk)):
            restore.restore(actor=tenant.actor, thread=archived, now=NOW())
        assert Message.objects.count() == 1
        Message.objects.update(content=kept.content)
        restore.restore(actor=tenant.actor, thread=archived, now=NOW())
        assert Message.objects.count() == 5

    def test_the_next_sweep_does_not_take_it_again(self, tenant: Tenant) -> None:
        policy(tenant, "archive", 1)
        thread = old_thread(tenant)
        assert sweep(tenant).taken == 1
        restore.restore(actor=tenant.actor, thread=Thread.objects.get(), now=NOW())
        done = sweep(tenant)
        assert (done.taken, dict(done.skips)) == (0, {"exempt": 1})
        assert sweep(tenant, after=timedelta(days=8), brake=False).taken == 1
        assert Thread.objects.get().pk == thread.pk


def test_a_purged_thread_leaves_its_bundle_and_the_others_stay(
    tenant: Tenant, archive_directory: str, django_capture_on_commit_callbacks: Any
) -> None:
    policy(tenant, "archive", 30)
    first, second = old_thread(tenant, 101), old_thread(tenant, 100)
    second_text = [message.content for message in second.messages.order_by("position")]
    with django_capture_on_commit_callbacks(execute=True):
        assert sweep(tenant).taken == 2
    old = Bundle.objects.get()
    with django_capture_on_commit_callbacks(execute=True):
        acts.delete(actor=tenant.actor, thread=first, now=NOW())
    old.refresh_from_db()
    new = Bundle.objects.get(removed_at__isnull=True)
    assert old.superseded_by == new.pk
    assert {path.parent.name for path in files(archive_directory)} == {new.name}
    everything = b"".join(
        zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True).read()
        for path in files(archive_directory)
        if path.suffix == ".zst"
    )
    assert str(first.pk).encode() not in everything
    second.refresh_from_db()
    assert [message.content for message in reading.messages(second)] == second_text
    assert audit_trail.verify(workspace_id=tenant.workspace.pk).faults == []
    with django_capture_on_commit_callbacks(execute=True):
        acts.delete(actor=tenant.actor, thread=second, now=NOW())
    assert files(archive_directory) == []


def test_orphans_go_when_they_are_a_day_old(tenant: Tenant, archive_directory: str) -> None:
    thread = full_thread(tenant)
    crash_after_archiving(tenant, thread)
    (Path(archive_directory) / ".partial-abc").write_bytes(b"half")
    now = candidates.database_now()
    assert [(orphan.dead, orphan.old) for orphan in orphans.find(now=now)] == [(False, False)] * 2
    late = list(orphans.find(now=now + timedelta(days=1, minutes=1)))
    assert [orphan.old for orphan in late] == [True, True]
    acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    referenced = [orphan for orphan in orphans.find(now=now + timedelta(days=2)) if "partial" not in orphan.path]
    assert referenced == []
    for orphan in late[1:]:
        assert orphans.remove(orphan, now=now + timedelta(days=2))
    assert len(files(archive_directory)) == 2


def test_an_orphan_that_is_written_again_while_others_are_listed_stays(
    tenant: Tenant, archive_directory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crashed archive is tried again, under the very same name, once the archive was listed."""
    thread = old_thread(tenant, 3)
    said = [message.content for message in thread.messages.order_by("position")]
    crash_after_archiving(tenant, thread)
    before = files(archive_directory)
    find = orphans.find

    def then_archived(**options: Any) -> Any:
        yield from list(find(**options))
        if thread.messages.exists():
            acts.archive(actor=tenant.actor, thread=thread, now=NOW())

    monkeypatch.setattr(orphans, "find", then_archived)
    removed, _ = orphans.collect(now=candidates.database_now() + timedelta(days=2))
    assert (removed, files(archive_directory)) == ([], before)
    assert [message.content for message in reading.messages(Thread.objects.get())] == said


def test_a_file_of_a_retired_bundle_that_a_thread_still_names_is_no_orphan(tenant: Tenant) -> None:
    acts.archive(actor=tenant.actor, thread=old_thread(tenant, 3), now=NOW())
    Bundle.objects.update(removed_at=NOW())
    assert list(orphans.find(now=candidates.database_now() + timedelta(days=2))) == []


@pytest.mark.parametrize(
    "path",
    [
        "lost/2025/01/x/file",
        "workspace_" + "u" * 26 + "/2025/01/" + "a" * 64 + "/manifest.json",  # no id: u is no letter of it
        "workspace_" + "8" + "0" * 25 + "/2025/01/" + "a" * 64 + "/manifest.json",  # and this one too large
        "workspace_" + "0" * 26 + "/2025/01/" + "a" * 64 + "/theirs.txt",
    ],
)
def test_what_others_keep_in_the_same_place_stays(tenant: Tenant, archive_directory: str, path: str) -> None:
    foreign = Path(archive_directory) / path
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"theirs")
    two_days_ago = NOW().timestamp() - 2 * 86_400
    for each in (foreign, foreign.parent):
        os.utime(each, (two_days_ago, two_days_ago))
    out = StringIO()
    call_command("collect_orphan_bundles", "--yes", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"removed": [], "younger": []}
    assert foreign.read_bytes() == b"theirs"


@pytest.mark.parametrize(
    "path", ["../etc/passwd", "workspace_1/../../x", "/etc/passwd", "workspace_" + "0" * 26 + "/2025/01/" + "a" * 63]
)
def test_no_path_leads_out_of_the_archive(path: str) -> None:
    from threads.lifecycle.bundles import vault

    with pytest.raises(vault.UnsafePath):
        vault.read(path)
