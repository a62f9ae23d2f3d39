"""How much live threads take, by state."""

from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread
from threads.lifecycle import acts, preferences, storage, trash
from threads.models import Attachment, Message, StorageSize


def measured(tenant: Tenant) -> dict[str, tuple[int, int]]:
    storage.measure(now=timezone.now())
    rows = StorageSize.objects.filter(workspace=tenant.workspace)
    return {row.state: (row.messages, row.files) for row in rows}


def test_each_state_is_measured_apart_and_archived_threads_not_at_all(tenant: Tenant, other_tenant: Tenant) -> None:
    first, second, third = (old_thread(tenant, messages=2) for _ in range(3))
    old_thread(other_tenant, messages=9)
    message = first.messages.first()
    assert message is not None
    Attachment.objects.create(
        workspace=tenant.workspace, thread=first, message=message, filename="a.txt", content_type="text/plain",
        size=1234, sha256=bytes(32), file=ContentFile(b"x", name="a.txt"),
    )  # fmt: skip
    preferences.change(actor=tenant.actor, now=timezone.now(), trash_days=7)
    trash.put(workspace_id=tenant.workspace.pk, thread_ids=[second.pk], now=timezone.now(), days=7)
    acts.archive(actor=tenant.actor, thread=third, now=timezone.now())
    sizes = {
        thread.pk: sum(len(text.encode()) for text in thread.messages.values_list("content", flat=True))
        for thread in (first, second)
    }
    assert measured(tenant) == {"active": (sizes[first.pk], 1234), "trashed": (sizes[second.pk], 0)}
    assert StorageSize.objects.filter(workspace=other_tenant.workspace).count() == 1


def test_a_sample_stands_for_all_where_there_are_many(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = old_thread(tenant, messages=1)
    rows = [
        Message(workspace=tenant.workspace, thread=thread, position=10 + n, role="user", content="x" * 1000)
        for n in range(4000)
    ]
    Message.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE threads_message")
    monkeypatch.setattr(storage, "SAMPLED", 2000)
    assert 49 < storage._percent() <= 50
    messages, _ = measured(tenant)["active"]
    assert 2_000_000 < messages < 6_000_000


def test_it_is_measured_once_a_day(tenant: Tenant) -> None:
    old_thread(tenant)
    now = timezone.now()
    assert storage.measure_due(now=now)
    assert not storage.measure_due(now=now + timedelta(hours=22))
    assert storage.measure_due(now=now + timedelta(hours=24))
    assert StorageSize.objects.count() == 1
