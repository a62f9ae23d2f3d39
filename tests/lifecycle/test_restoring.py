"""What is restored is what was archived: nothing is lost, doubled or changed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.bundled import full_thread, rows
from tests.lifecycle.conftest import old_thread, policy, sweep
from threads.lifecycle import acts, reading, restore, staging
from threads.models import Message, Run, Thread

NOW = timezone.now


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


def test_twice_is_refused_and_changes_nothing(tenant: Tenant) -> None:
    thread = full_thread(tenant)
    archived = acts.archive(actor=tenant.actor, thread=thread, now=NOW())
    restore.restore(actor=tenant.actor, thread=archived, now=NOW())
    with pytest.raises(restore.NotArchived):
        restore.restore(actor=tenant.actor, thread=archived, now=NOW())
    assert Message.objects.count() == 5


def test_an_identical_row_is_left_a_differing_one_aborts(tenant: Tenant) -> None:
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


def test_the_next_sweep_does_not_take_it_again(tenant: Tenant) -> None:
    policy(tenant, "archive", 1)
    thread = old_thread(tenant)
    assert sweep(tenant).taken == 1
    restore.restore(actor=tenant.actor, thread=Thread.objects.get(), now=NOW())
    done = sweep(tenant)
    assert (done.taken, dict(done.skips)) == (0, {"exempt": 1})
    assert sweep(tenant, after=timedelta(days=8), brake=False).taken == 1
    assert Thread.objects.get().pk == thread.pk
