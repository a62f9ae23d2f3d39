"""What a list shows of an archived thread's feedback: kept in the catalogue by the transaction that archives, and gone
with the thread's row there."""

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread
from threads.lifecycle import acts, candidates, preferences, restore
from threads.lifecycle.bundles import archive as bundling
from threads.lifecycle.bundles import ratings
from threads.models import Bundle, BundledThread, Feedback, Message, Thread


def rated(tenant: Tenant, *opinions: int) -> Thread:
    thread = old_thread(tenant, messages=2)
    answer = Message.objects.get(thread=thread, role="assistant")
    for number, rating in enumerate(opinions):
        Feedback.objects.create(
            workspace=tenant.workspace, thread=thread, message=answer, author=f"session:{number}", rating=rating,
            text="It says \"rating\": -1, and that's \\ all.",
        )  # fmt: skip
    return thread


def kept() -> dict[UUID, tuple[int | None, int | None]]:
    return {pk: (good, bad) for pk, good, bad in BundledThread.objects.values_list("pk", "good", "bad")}


def archive(tenant: Tenant, *threads: Thread) -> None:
    with transaction.atomic():
        keys = [thread.pk for thread in threads]
        bundling.archive(workspace_id=tenant.workspace.pk, thread_ids=keys, now=timezone.now())


def test_they_are_kept_with_the_archive_and_go_with_the_restoration(tenant: Tenant) -> None:
    mixed, none = rated(tenant, 1, 1, -1), rated(tenant)
    archive(tenant, mixed, none)
    assert kept() == {mixed.pk: (2, 1), none.pk: (0, 0)}
    restored = restore.restore(actor=tenant.actor, thread=mixed, now=timezone.now())
    assert kept() == {none.pk: (0, 0)}
    assert sorted(Feedback.objects.values_list("rating", flat=True)) == [-1, 1, 1]
    Feedback.objects.filter(rating=1).update(rating=-1)
    acts.archive(actor=tenant.actor, thread=restored, now=timezone.now())
    assert kept()[mixed.pk] == (0, 3)


def test_those_that_stay_in_a_bundle_keep_theirs(tenant: Tenant) -> None:
    going, staying = rated(tenant, -1), rated(tenant, 1, -1)
    archive(tenant, going, staying)
    preferences.change(actor=tenant.actor, now=timezone.now(), trash_days=7)
    acts.delete(actor=tenant.actor, thread=going, now=timezone.now())
    assert kept() == {going.pk: (0, 1), staying.pk: (1, 1)}, "the trash is no other place"
    acts.purge_now(actor=tenant.actor, thread=going, now=timezone.now())
    assert kept() == {staying.pk: (1, 1)}
    assert candidates.load(workspace_id=tenant.workspace.pk, thread_ids=[staying.pk])


def test_what_an_older_version_archived_is_read_in_its_bundle(tenant: Tenant) -> None:
    mixed, none, lost = rated(tenant, 1, 1, -1), rated(tenant), rated(tenant, 1)
    archive(tenant, mixed, none)
    archive(tenant, lost)
    BundledThread.objects.update(good=None, bad=None)
    Bundle.objects.filter(pk=BundledThread.objects.get(pk=lost.pk).bundle_id).update(path="nowhere")
    assert ratings.read_missing() == 1
    assert kept() == {mixed.pk: (2, 1), none.pk: (None, None), lost.pk: (None, None)}
    assert ratings.read_missing() == 0
