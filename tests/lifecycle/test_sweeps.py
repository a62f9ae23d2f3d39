"""Plan and apply: what is foretold is what happens, and neither too early nor never."""

import threading
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import age, old_thread, policy, sweep
from threads.actions.messages import Draft, append
from threads.lifecycle import acts, candidates, holds, plan, policies, sweeper
from threads.lifecycle.batches import Bounds
from threads.lifecycle.candidates import Selection
from threads.lifecycle.models import RetentionSettings
from threads.models import Attachment, Message, RetentionPolicy, Run, Sweep, Thread, Tombstone


def planned(tenant: Tenant) -> plan.Plan:
    return plan.make(selection=Selection(workspace_id=tenant.workspace.pk), cutoff=candidates.database_now())


def everything() -> list[Any]:
    """Every row of every table, as text."""
    rows = []
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names()):
            cursor.execute(f'SELECT t::text, xmin::text FROM "{table}" AS t ORDER BY 1')
            rows.append((table, cursor.fetchall()))
    return rows


def test_a_plan_changes_not_one_byte(tenant: Tenant) -> None:
    policy(tenant)
    old_thread(tenant)
    before = everything()
    assert planned(tenant).total == 1
    assert everything() == before


def test_apply_does_what_the_plan_says(tenant: Tenant) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace, trash_days=7)
    for days in (10, 40, 41, 70, 100, 200):
        old_thread(tenant, days)
    old_thread(tenant, 500, external_ref="legal-1")
    pinned = old_thread(tenant, 500)
    acts.pin(actor=tenant.actor, thread=pinned)
    held = old_thread(tenant, 500)
    holds.place(actor=tenant.actor, scope="thread", target_id=held.pk, reason="case", now=timezone.now())
    policy(tenant, "archive", 30)
    policy(tenant, "trash", 90, external_ref_prefix="legal-")
    policy(tenant, "retain", 30_000, external_ref_prefix="legal-")
    foreseen = planned(tenant)
    assert foreseen.as_json()["actions"] == {"archive": 5}
    assert foreseen.as_json()["skipped"] == {"held": 1, "pinned": 1, "retained": 1}
    assert foreseen.size == sum(len(m.content or "") for m in Message.objects.filter(thread_id__in=foreseen.sample))
    done = sweep(tenant)
    assert (dict(done.actions), dict(done.skips)) == ({"archive": 5}, dict(foreseen.skips))
    assert done.counts == {"before": 9, "active": 4, "archived": 5, "trashed": 0, "purged": 0}
    assert planned(tenant).total == 0


def test_what_is_purged_leaves_a_tombstone_and_nothing_else(tenant: Tenant) -> None:
    thread = old_thread(tenant, external_ref="maria.schmidt@example.org")
    made = policy(tenant)
    assert sweep(tenant).taken == 1
    assert (Thread.objects.count(), Message.objects.count(), Run.objects.count()) == (0, 0, 0)
    stone = Tombstone.objects.get()
    assert (stone.thread_id, stone.policy_id, stone.reason, stone.message_count) == (thread.pk, made.pk, "policy", 3)
    assert "maria" not in str(vars(stone))
    assert len(stone.evidence) == len(stone.external_ref_digest) == 64


def test_nothing_goes_before_its_time(tenant: Tenant) -> None:
    """The first failure of the field: something deleted too early."""
    policy(tenant, days=90)
    fresh, aged = old_thread(tenant, 89.9), old_thread(tenant, 200)
    append(actor=tenant.actor, thread=aged, drafts=[Draft(role="user", content="still here")])
    empty = old_thread(tenant, 89, messages=0)
    assert sweep(tenant).taken == 0
    assert set(Thread.objects.values_list("pk", flat=True)) == {fresh.pk, aged.pk, empty.pk}


def test_a_new_policy_waits_for_its_grace(tenant: Tenant) -> None:
    old_thread(tenant)
    now = timezone.now()
    made = policies.create(actor=tenant.actor, now=now, action="purge", days=90)
    policies.preview(actor=tenant.actor, policy=made)
    made.refresh_from_db()
    policies.enable(actor=tenant.actor, policy=made, now=now)
    assert (sweep(tenant).taken, planned(tenant).skips["grace"]) == (0, 1)
    assert sweep(tenant, after=timedelta(hours=25)).taken == 1


def test_a_running_thread_is_left_alone(tenant: Tenant) -> None:
    from tests.threads.conftest import ask

    policy(tenant)
    thread = old_thread(tenant)
    ask(tenant, thread, "anybody there?")
    age(thread, 200)
    done = sweep(tenant)
    assert (done.taken, dict(done.skips)) == (0, {"run_in_progress": 1})


def test_limit_cap_time_and_stop_end_a_sweep(tenant: Tenant) -> None:
    policy(tenant)
    for _ in range(6):
        old_thread(tenant)
    done = sweep(tenant, limit=1)
    assert (done.taken, done.ended) == (1, "limit")
    assert sweep(tenant, max_seconds=0).ended == "time"
    RetentionSettings.objects.create(workspace=tenant.workspace, daily_cap=3, brake_percent=100)
    done = sweep(tenant, batch_size=1)
    assert (done.taken, done.ended) == (3, "cap")
    assert sweep(tenant).taken == 0
    RetentionSettings.objects.update(daily_cap=None)
    bounds = Bounds()
    bounds.stop.set()
    assert sweep(tenant, stop=bounds.stop).ended == "stopped"
    assert (sweep(tenant).ended, Thread.objects.count()) == ("done", 0)


class Pauses(threading.Event):
    """Notes how long it is waited for, and what was done by then; is set in the first pause where that is wanted."""

    def __init__(self, stops: bool = False) -> None:
        super().__init__()
        self.stops = stops
        self.seen: list[tuple[float | None, int]] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seen.append((timeout, Thread.objects.count()))
        if self.stops:
            threading.Timer(0.05, self.set).start()
        return super().wait(timeout)


def test_it_pauses_after_each_batch(tenant: Tenant) -> None:
    policy(tenant)
    for _ in range(6):
        old_thread(tenant)
    pauses, began = Pauses(), time.monotonic()
    assert sweep(tenant, batch_size=2, pause=0.2, stop=pauses).taken == 6
    assert pauses.seen == [(0.2, 4), (0.2, 2), (0.2, 0)]
    assert time.monotonic() - began >= 0.6


def test_who_stops_it_in_a_pause_does_not_wait_for_its_end(tenant: Tenant) -> None:
    policy(tenant)
    for _ in range(6):
        old_thread(tenant)
    pauses, began = Pauses(stops=True), time.monotonic()
    done = sweep(tenant, batch_size=2, pause=300, stop=pauses)
    assert (done.ended, done.taken, Thread.objects.count(), pauses.seen) == ("stopped", 2, 4, [(300, 4)])
    assert time.monotonic() - began < 60
    assert Sweep.objects.get().report["ended"] == "stopped"


def test_the_brake_stops_what_nobody_foresaw(tenant: Tenant) -> None:
    for _ in range(3):
        old_thread(tenant)
    policy(tenant)  # previewed with three
    assert sweep(tenant).taken == 3
    for _ in range(14):
        old_thread(tenant, messages=1)
    done = sweep(tenant)
    assert (done.taken, done.ended, Thread.objects.count()) == (0, "brake", 14)
    assert sweep(tenant, brake=False).taken == 14


def test_the_trash_empties_by_itself(tenant: Tenant) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace, trash_days=7)
    thread = old_thread(tenant)
    policy(tenant, "trash", 90)
    assert dict(sweep(tenant).actions) == {"trash": 1}
    thread.refresh_from_db()
    assert (thread.state, thread.messages.count()) == ("trashed", 3)
    assert sweep(tenant, after=timedelta(days=6.9)).taken == 0
    assert dict(sweep(tenant, after=timedelta(days=7.1)).actions) == {"purge": 1}
    assert Tombstone.objects.get().reason == "trash"


def test_a_policy_that_wants_a_trash_where_there_is_none_does_nothing_and_says_so(tenant: Tenant) -> None:
    made = policy(tenant)
    old_thread(tenant)
    RetentionPolicy.objects.filter(pk=made.pk).update(action="trash")  # without a trash
    assert planned(tenant).skips == {"trash_off": 1}


def test_files_go_with_the_last_thread_that_has_them(tenant: Tenant, django_capture_on_commit_callbacks: Any) -> None:
    from threads.attachments import Upload

    first, second = old_thread(tenant), old_thread(tenant, 10)
    upload = Upload("a.txt", "text/plain", b"shared")
    append(actor=tenant.actor, thread=first, drafts=[Draft(role="user", content="see file", uploads=[upload])])
    age(first, 100)
    row = Attachment.objects.get()
    message = second.messages.first()
    assert message is not None
    Attachment.objects.create(
        workspace_id=row.workspace_id, thread=second, message=message, filename="b.txt", content_type="text/plain",
        size=6, sha256=row.sha256, file=row.file.name,
    )  # fmt: skip
    policy(tenant)
    with django_capture_on_commit_callbacks(execute=True):
        assert sweep(tenant).taken == 1
    assert row.file.storage.exists(row.file.name)
    with django_capture_on_commit_callbacks(execute=True):
        assert sweep(tenant, after=timedelta(days=90), brake=False).taken == 1
    assert not row.file.storage.exists(row.file.name)


@pytest.mark.django_db(transaction=True)
def test_two_sweepers_do_not_meet(tenant: Tenant) -> None:
    parameters = {
        k: v for k, v in connection.get_connection_params().items() if k in ("host", "port", "user", "dbname")
    }
    with psycopg.connect(**parameters, autocommit=True) as other:
        other.execute(sweeper.LOCK)
        with pytest.raises(sweeper.SweepRunning), sweeper.alone():
            pass
        other.execute(sweeper.UNLOCK)
    with sweeper.alone():
        pass
