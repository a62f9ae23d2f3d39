"""Archiving: what a bundle holds, and what becomes of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.bundled import crash_after_archiving, files, full_thread
from tests.lifecycle.conftest import old_thread, policy, sweep
from threadhub.lib.version import VERSION
from threads.lifecycle import acts, reading
from threads.lifecycle.bundles import audit_trail, records
from threads.models import Bundle, Message, Note, Thread, ToolUse

NOW = timezone.now


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


@pytest.mark.parametrize(
    "path", ["../etc/passwd", "workspace_1/../../x", "/etc/passwd", "workspace_" + "0" * 26 + "/2025/01/" + "a" * 63]
)
def test_no_path_leads_out_of_the_archive(path: str) -> None:
    from threads.lifecycle.bundles import vault

    with pytest.raises(vault.UnsafePath):
        vault.read(path)
