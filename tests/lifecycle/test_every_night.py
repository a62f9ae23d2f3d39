"""The worker's nights: each day has one, each workspace its own, and no crash or idle thread outlasts them."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone
from procrastinate.contrib.django import app

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread, policy, sweep
from threads import tasks
from threads.lifecycle import candidates, nightly, nights, plan
from threads.lifecycle.candidates import Selection
from threads.models import Sweep, Thread


def test_idle_threads_go_though_nobody_ever_touches_them_again(tenant: Tenant) -> None:
    """The second failure of the field: nothing is ever deleted. Three nights, backlog 0 after each."""
    for days in (100, 100, 90.5, 89.5, 88.5, 87.5, 10):
        old_thread(tenant, days)
    policy(tenant, days=90)
    left = []
    for night in range(3):
        after = timedelta(days=night)
        sweep(tenant, after=after)
        backlog = plan.make(
            selection=Selection(workspace_id=tenant.workspace.pk), cutoff=candidates.database_now() + after
        )
        left.append((Thread.objects.count(), backlog.total))
    assert left == [(4, 0), (3, 0), (2, 0)]


@pytest.mark.django_db(transaction=True)
def test_the_worker_does_it_night_after_night(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, without anybody's hand: what the scheduler calls, at the times of three nights."""
    for days in (100, 90.5, 89.5, 88.5, 87.5, 10):
        old_thread(tenant, days)
    policy(tenant, days=90)
    now, left = candidates.database_now(), []
    for night in range(3):
        for minutes in (0, 10, 20):  # it comes back, and finds nothing to do
            moment = now + timedelta(days=night, minutes=minutes)
            monkeypatch.setattr(candidates, "database_now", lambda moment=moment: moment)
            async_to_sync(tasks.sweep.func)(timestamp=0)
        left.append(Thread.objects.count())
    assert left == [4, 3, 2]
    assert Sweep.objects.count() == 3


def test_the_scheduler_calls_what_must_not_be_forgotten() -> None:
    known = {each.task.name: each.cron for each in app.periodic_registry.periodic_tasks.values()}
    assert known["threads.sweep"] == known["threads.resume_erasures"] == "*/10 * * * *"
    daily = {"threads.remove_stray_files", "threads.read_ratings"}
    assert daily <= known.keys()
    assert "threads.forecast_retention" in known


def test_the_worker_sweeps_each_workspace_once_a_night(tenant: Tenant, other_tenant: Tenant) -> None:
    policy(tenant)
    old_thread(tenant)
    old_thread(other_tenant)
    assert nightly.sweep_all() == 1
    old_thread(tenant)
    assert nightly.sweep_all() == 0
    assert (Thread.objects.count(), Sweep.objects.count()) == (2, 1)


def test_the_night_takes_what_crashes_left_in_the_archive(tenant: Tenant, archive_directory: str) -> None:
    policy(tenant)
    old, fresh = Path(archive_directory) / ".partial-old", Path(archive_directory) / ".partial-fresh"
    for path in (old, fresh):
        path.write_bytes(b"half a bundle")
    two_days_ago = timezone.now().timestamp() - 2 * 86_400
    os.utime(old, (two_days_ago, two_days_ago))
    nightly.sweep_all()
    assert (old.exists(), fresh.exists()) == (False, True)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Pacific/Apia", "UTC", "Australia/Lord_Howe"])
def test_every_day_has_one_night_whatever_its_clocks_do(zone: str) -> None:
    from datetime import UTC, datetime

    now, end = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    seen = set()
    while now < end:
        night = nights.start(now=now, zone=zone)
        assert timedelta(0) <= now - night < timedelta(hours=25)
        seen.add(night)
        now += timedelta(minutes=30)
    assert len(seen) in (365, 366)
