"""The commands of a thread's life: options, exit codes, and that a wrong word does nothing."""

import json
import os
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread, policy
from threadhub.lib import ids
from threadhub.workspaces import actor as actors
from threads.lifecycle import acts, batches, holds, purge, sweeper
from threads.lifecycle.bundles import archive
from threads.lifecycle.importing import imports
from threads.models import Bundle, BundledThread, Hold, Message, RetentionSettings, Sweep, Thread, Tombstone


def run(command: str, *options: str) -> list[dict[str, Any]]:
    out = StringIO()
    call_command(command, *options, "--json", stdout=out, stderr=StringIO())
    return [json.loads(line) for line in out.getvalue().splitlines()]


def code(command: str, *options: str) -> int:
    with pytest.raises(CommandError) as ended:
        call_command(command, *options, stdout=StringIO(), stderr=StringIO())
    return int(ended.value.returncode)


@pytest.mark.parametrize(
    "time", ["0d", "-1d", "", "90", "90 d", "d", "1.5d", "90x", "٩٠d", "forever", "36526d", "9999999w"]
)
@pytest.mark.parametrize("command", ["archive_threads", "retention_apply", "restore_threads", "purge_trash"])
def test_a_time_without_a_unit_does_nothing(tenant: Tenant, command: str, time: str, capsys: Any) -> None:
    old_thread(tenant)
    with pytest.raises(CommandError):
        call_command(command, f"--older-than={time}", "--yes", stdout=StringIO())
    assert list(Thread.objects.values_list("state", flat=True)) == ["active"]


def test_without_yes_and_without_anybody_to_ask_it_does_nothing(tenant: Tenant) -> None:
    old_thread(tenant)
    policy(tenant)
    workspace = f"--workspace={tenant.workspace.wire_id}"
    assert code("retention_apply") == 2
    assert code("archive_threads", workspace) == 2
    assert code("archive_threads", "--yes") == 2  # of what?
    assert code("purge_trash") == 2
    assert code("retention_apply", "--yes", f"--workspace={ids.encode('workspace', ids.new())}") == 2
    assert list(Thread.objects.values_list("state", flat=True)) == ["active"]


def test_plan_and_apply(tenant: Tenant, other_tenant: Tenant) -> None:
    for days in (100, 100, 10):
        old_thread(tenant, days)
    made = policy(tenant)
    own, other = run("retention_plan")
    assert (own["due"], own["by_policy"], own["messages"]) == (2, {made.wire_id: 2}, 6)
    assert other["due"] == 0
    assert run("retention_apply", "--dry-run")[0]["hash"] == own["hash"]
    assert Thread.objects.count() == 3
    done = run("retention_apply", "--yes", "--limit=1", "--batch-size=1")
    assert (done[0]["taken"], done[0]["ended"]) == (1, "limit")
    done = run("retention_apply", "--yes", f"--agent={tenant.agent.wire_id}")
    assert (done[0]["taken"], done[0]["ended"], done[0]["counts"]["purged"]) == (1, "done", 2)
    assert run("retention_apply", "--yes")[0]["taken"] == 0


def test_a_purge_that_leaves_rows_behind_is_exit_code_4(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        old_thread(tenant)
    old_thread(tenant, 10)
    policy(tenant)
    monkeypatch.setattr(purge, "remove", lambda **options: 0)
    assert code("retention_apply", "--yes") == 4
    assert Sweep.objects.count() == 0  # what is not true is not reported


def test_a_thread_that_is_lost_while_another_is_there_twice_is_exit_code_4(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sum is right; neither thread is."""
    old_thread(tenant)
    lost = old_thread(tenant, 10, messages=0)
    policy(tenant)

    def loses_another(**options: Any) -> int:
        Thread.objects.filter(pk=lost.pk).delete()
        return 0

    monkeypatch.setattr(purge, "remove", loses_another)
    assert code("retention_apply", "--yes") == 4


def test_an_archive_that_loses_a_thread_is_exit_code_4(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        old_thread(tenant)
    policy(tenant, "archive")
    original = archive.archive

    def loses_one(*, thread_ids: list[UUID], **options: Any) -> Bundle:
        bundle = original(thread_ids=thread_ids, **options)
        BundledThread.objects.filter(thread_id=thread_ids[0]).delete()
        Thread.objects.filter(pk=thread_ids[0]).delete()
        return bundle

    monkeypatch.setattr(archive, "archive", loses_one)
    assert code("retention_apply", "--yes") == 4


@pytest.mark.parametrize("command", ["archive_threads", "restore_threads", "purge_trash"])
def test_by_hand_too_threads_add_up_afterwards(tenant: Tenant, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    for _ in range(3):
        old_thread(tenant)
    kept = old_thread(tenant, 1)
    workspace = f"--workspace={tenant.workspace.wire_id}"
    if command == "restore_threads":
        run("archive_threads", workspace, "--older-than=90d", "--yes")
    if command == "purge_trash":
        old = Thread.objects.exclude(pk=kept.pk)
        old.update(state="trashed", trashed_at=timezone.now(), purge_after=timezone.now())
    (done,) = run(command, workspace, "--limit=2", "--yes")
    assert done["counts"]["before"] == 4
    assert sum(done["counts"].values()) == 8
    assert Sweep.objects.latest("number").report["counts"] == done["counts"]
    original = batches.through

    def loses_one(**options: Any) -> tuple[int, str]:
        Message.objects.filter(thread=kept).delete()
        Thread.objects.filter(pk=kept.pk).delete()
        return original(**options)

    monkeypatch.setattr(batches, "through", loses_one)
    reports = Sweep.objects.count()
    assert code(command, workspace, "--limit=1", "--yes") == 4
    assert Sweep.objects.count() == reports  # what is not true is not reported


def test_a_workspace_in_which_nothing_is_to_be_done_is_not_counted(tenant: Tenant, other_tenant: Tenant) -> None:
    old_thread(other_tenant)
    thread = old_thread(tenant)
    acts.archive(actor=tenant.actor, thread=thread, now=timezone.now())
    done = {each["workspace"]: each for each in run("restore_threads", f"--thread={thread.wire_id}", "--yes")}
    assert done[tenant.workspace.wire_id]["counts"]["active"] == 1
    assert "counts" not in done[other_tenant.workspace.wire_id]


def test_what_was_purged_meanwhile_and_brought_back_is_no_fault(
    tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_thread(tenant)
    policy(tenant)
    back = old_thread(tenant, 10)
    workspace = f"--workspace={tenant.workspace.wire_id}"
    call_command("export_threads", workspace, f"--to={tmp_path}/a.zip", stdout=StringIO(), stderr=StringIO())
    original, tombstones = purge.remove, []

    def meanwhile(**options: Any) -> int:
        monkeypatch.setattr(purge, "remove", original)
        removed = original(**options)
        acts.delete(actor=tenant.actor, thread=back, now=timezone.now())
        tombstones.append(Tombstone.objects.filter(thread_id=back.pk).exists())
        imports.import_file(actor=actors.system(tenant.workspace.pk), path=tmp_path / "a.zip", now=timezone.now())
        return removed

    monkeypatch.setattr(purge, "remove", meanwhile)
    assert run("retention_apply", "--yes")[0]["counts"]["purged"] == 0
    assert tombstones == [True]
    assert Thread.objects.count() == 2


def test_archive_verify_restore(tenant: Tenant, archive_directory: str) -> None:
    threads = [old_thread(tenant, days, external_ref=f"ref {days}") for days in (100, 99, 5)]
    dry = run("archive_threads", "--older-than=90d", "--dry-run")
    assert (dry[0]["taken"], dry[0]["messages"], Bundle.objects.count()) == (2, 6, 0)
    done = run("archive_threads", "--older-than=90d", "--yes")
    assert (done[0]["taken"], Message.objects.count()) == (2, 3)
    assert run("verify_archives")[0]["faults"] == []
    assert run("verify_archives")[0]["threads"] == 2
    restored = run("restore_threads", f"--thread={threads[0].wire_id}", "--yes")
    assert (restored[0]["taken"], Message.objects.count()) == (1, 6)
    (data,) = [path for path in Path(archive_directory).rglob("*.zst") if threads[1].messages.count() == 0][:1]
    data.write_bytes(data.read_bytes()[:-9])
    assert code("verify_archives") == 4
    assert code("restore_threads", "--external-ref=ref 99", "--yes") == 4
    assert Message.objects.count() == 6


def test_a_thread_that_is_not_there_to_be_restored_is_exit_code_1(tenant: Tenant) -> None:
    thread = old_thread(tenant)
    for options in ([], ["--trashed"], ["--dry-run"]):
        assert code("restore_threads", f"--thread={thread.wire_id}", "--yes", *options) == 1
    assert code("restore_threads", f"--thread={ids.encode('thread', ids.new())}", "--yes") == 1
    assert run("restore_threads", "--external-ref=of nobody", "--yes")[0]["taken"] == 0  # a filter may find none


def test_the_trash(tenant: Tenant) -> None:
    from threads.actions import threads as acting

    RetentionSettings.objects.create(workspace=tenant.workspace, trash_days=1)
    first, second, held = (old_thread(tenant) for _ in range(3))
    for thread in (first, second, held):
        acting.delete(actor=tenant.actor, thread=thread, now=timezone.now())
    assert run("purge_trash", "--yes")[0]["skipped"] == {"not_due": 3}
    run("restore_threads", "--trashed", f"--thread={second.wire_id}", "--yes")
    Thread.objects.filter(state="trashed").update(purge_after=timezone.now())
    run("legal_hold", "place", f"--workspace={tenant.workspace.wire_id}", f"--thread={held.wire_id}", "--reason=case")
    assert run("purge_trash", "--dry-run")[0]["taken"] == 1
    done = run("purge_trash", "--yes")[0]
    assert (done["taken"], done["skipped"]) == (1, {"held": 1})
    assert set(Thread.objects.values_list("pk", "state")) == {(second.pk, "active"), (held.pk, "trashed")}
    assert Tombstone.objects.get().thread_id == first.pk


def test_legal_hold(tenant: Tenant) -> None:
    workspace = f"--workspace={tenant.workspace.wire_id}"
    assert code("legal_hold", "place", workspace) == 2
    placed = run("legal_hold", "place", workspace, "--external-ref=customer", "--reason=case 5")[0]
    assert run("legal_hold", "list", workspace) == [placed]
    assert code("legal_hold", "release", workspace) == 2
    assert placed["release_reason"] is None
    released = run("legal_hold", "release", workspace, f"--hold={placed['id']}", "--reason=case 5 is over")[0]
    assert (bool(released["released_at"]), released["release_reason"]) == (True, "case 5 is over")
    assert run("legal_hold", "list", workspace) == []
    assert Hold.objects.get().placed_by == "system"
    assert code("legal_hold", "release", workspace, f"--hold={ids.encode('hold', ids.new())}") == 1


def test_a_hold_can_be_tried(tenant: Tenant) -> None:
    workspace = f"--workspace={tenant.workspace.wire_id}"
    tried = run("legal_hold", "place", workspace, "--external-ref=customer", "--reason=case 5", "--dry-run")[0]
    assert (tried["dry_run"], tried["scope"], tried["target"]) == (True, "external_ref", "customer")
    assert Hold.objects.count() == 0
    assert code("legal_hold", "place", workspace, f"--agent={ids.encode('agent', ids.new())}", "--reason=x") == 1
    placed = run("legal_hold", "place", workspace, "--reason=case 5")[0]
    assert run("legal_hold", "release", workspace, f"--hold={placed['id']}", "--dry-run")[0]["released_at"]
    assert Hold.objects.get().in_force


@pytest.mark.parametrize("option", ["agent", "user", "external-ref", "older-than", "inactive-for"])
def test_what_a_command_cannot_use_it_refuses(option: str) -> None:
    with pytest.raises(CommandError, match=f"unrecognized arguments: --{option}"):
        call_command("verify_archives", f"--{option}=1d", stdout=StringIO())


def test_orphans(tenant: Tenant, archive_directory: str) -> None:
    (Path(archive_directory) / ".partial-1").write_bytes(b"")
    assert run("collect_orphan_bundles", "--yes") == [{"removed": [], "younger": [".partial-1"]}]


def test_orphans_go_by_workspace_and_so_many_at_a_time(
    tenant: Tenant, other_tenant: Tenant, archive_directory: str
) -> None:
    long_ago = timezone.now().timestamp() - 2 * 86_400
    for owner, number in ((tenant, "a"), (tenant, "b"), (other_tenant, "c")):
        folder = Path(archive_directory) / owner.workspace.wire_id / "2025" / "01" / (number * 64)
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_bytes(b"{}")
        os.utime(folder / "manifest.json", (long_ago, long_ago))
    workspace = f"--workspace={tenant.workspace.wire_id}"
    (tried,) = run("collect_orphan_bundles", workspace, "--dry-run")
    assert len(tried["removed"]) == 2
    assert run("collect_orphan_bundles", workspace, "--limit=1", "--yes")[0]["removed"] == tried["removed"][:1]
    assert run("collect_orphan_bundles", workspace, "--yes")[0]["removed"] == tried["removed"][1:]
    assert code("collect_orphan_bundles", f"--workspace={ids.encode('workspace', ids.new())}", "--yes") == 2
    assert len(run("collect_orphan_bundles", "--yes")[0]["removed"]) == 1


def test_archiving_spares_what_is_held(tenant: Tenant) -> None:
    thread = old_thread(tenant)
    holds.place(actor=tenant.actor, scope="agent", target_id=tenant.agent.pk, reason="case", now=timezone.now())
    done = run("archive_threads", "--inactive-for=1d", "--yes")[0]
    assert (done["taken"], done["skipped"], thread.messages.count()) == (0, {"held": 1}, 3)


def test_another_sweep_is_exit_code_3(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "LOCK", "SELECT false")
    for command in ("retention_apply", "purge_trash", "collect_orphan_bundles"):
        assert code(command, "--yes") == 3
