"""Files of attachments that nothing refers to go; all others stay."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DatabaseError, transaction
from django.utils import timezone

from tests.conftest import Tenant
from threadhub.launch import examination
from threads import attachments, stray_files
from threads.actions.messages import Draft, append
from threads.attachments import Upload
from threads.models import Attachment, Bundle, BundledThread, Thread

UPLOAD = Upload("a.txt", "text/plain", b"words")
DAYS = timedelta(days=2)


@pytest.fixture(autouse=True)
def _storage_of_its_own(settings: Any) -> None:
    memory = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "default": memory}


def put(tenant: Tenant, thread: Thread) -> None:
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="see", uploads=[UPLOAD])])


def files_of(thread: Thread) -> list[str]:
    folder = f"{thread.workspace_id}/{thread.pk}"
    return [f"{folder}/{name}" for name in default_storage.listdir(folder)[1]]


def bundled(tenant: Tenant, thread: Thread, names: list[str]) -> None:
    """As if the thread stood in a bundle and not in the database."""
    bundle = Bundle.objects.create(
        workspace=tenant.workspace, number=1, name="x", path="x", size=1, thread_count=1, message_count=1
    )
    BundledThread.objects.create(
        thread_id=thread.pk, workspace=tenant.workspace, bundle=bundle, counts={}, frames=[], files=names
    )


@pytest.mark.django_db(transaction=True)
def test_what_a_failed_transaction_left_goes_once_it_is_a_day_old(tenant: Tenant, thread: Thread) -> None:
    put(tenant, thread)
    kept = files_of(thread)
    with transaction.atomic():
        put(tenant, thread)
        transaction.set_rollback(True)
    assert len(files_of(thread)) == 2
    assert stray_files.remove(now=timezone.now()) == 0
    assert stray_files.remove(now=timezone.now() + DAYS) == 1
    assert files_of(thread) == kept == list(Attachment.objects.values_list("file", flat=True))


@pytest.mark.django_db
def test_the_file_of_a_thread_in_a_bundle_and_what_is_no_attachment_stay(tenant: Tenant, thread: Thread) -> None:
    put(tenant, thread)
    (name,) = files_of(thread)
    Attachment.objects.all()._raw_delete(using="default")
    bundled(tenant, thread, [name])
    other = default_storage.save(f"{tenant.workspace.pk}/notes", ContentFile(b"mine"))
    stray_files.remove(now=timezone.now() + DAYS)
    assert default_storage.exists(name)
    assert default_storage.exists(other)
    BundledThread.objects.all().delete()
    assert stray_files.remove(now=timezone.now() + DAYS) >= 1
    assert not default_storage.exists(name)
    assert default_storage.exists(other)
    default_storage.delete(other)


@pytest.mark.django_db
@pytest.mark.parametrize("where", ["row", "bundle"])
def test_doctor_tells_of_a_file_that_is_lost(tenant: Tenant, thread: Thread, where: str) -> None:
    put(tenant, thread)
    put(tenant, thread)
    lost, _ = sorted(files_of(thread))
    if where == "bundle":
        bundled(tenant, thread, files_of(thread))
        Attachment.objects.all()._raw_delete(using="default")
    assert examination.attachments().ok
    default_storage.delete(lost)
    finding = examination.attachments()
    assert (finding.ok, finding.detail) == (False, f"Files: 1 are referred to and not stored, such as {lost}.")


@pytest.mark.django_db
def test_doctor_tells_of_a_file_that_should_be_gone(
    tenant: Tenant, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tenant, thread)
    (stray,) = files_of(thread)
    Attachment.objects.all()._raw_delete(using="default")
    assert examination.attachments().ok  # the worker still has its night
    later = timezone.now() + DAYS + timedelta(minutes=1)
    monkeypatch.setattr(timezone, "now", lambda: later)
    finding = examination.attachments()
    assert not finding.ok
    assert f"such as {stray}" in finding.detail


@pytest.mark.django_db
def test_what_is_purged_while_doctor_looks_is_no_loss(
    tenant: Tenant, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tenant, thread)
    listed = stray_files._listed

    def purged(folder: str) -> tuple[list[str], list[str]]:
        Attachment.objects.all()._raw_delete(using="default")
        for name in listed(folder)[1]:
            default_storage.delete(f"{folder}/{name}")
        return listed(folder)

    monkeypatch.setattr(stray_files, "_listed", purged)
    assert list(stray_files.missing()) == []


@pytest.mark.django_db
def test_of_files_of_which_one_fails_none_is_left_over(
    tenant: Tenant, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError

    put(tenant, thread)
    before = files_of(thread)
    monkeypatch.setattr(Attachment.objects, "bulk_create", refuse)
    message = thread.messages.get()
    with pytest.raises(DatabaseError):
        attachments.store(message=message, uploads=[UPLOAD, UPLOAD])
    with pytest.raises(DatabaseError):
        attachments.copy(attachments=list(message.attachments.all()), messages={message.pk: message})
    assert files_of(thread) == before
