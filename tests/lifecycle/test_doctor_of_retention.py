"""`doctor` on the archive and the sweeps: what was archived is there, and what is due goes."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread, policy, sweep
from threadhub.launch import retention_examination as examination
from threadhub.workspaces.models import Workspace
from threads.lifecycle import acts, candidates, nights, preferences
from threads.lifecycle.rules import settings_of
from threads.models import RetentionPolicy, RetentionSettings, Sweep

NOW = timezone.now


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch, tenant: Tenant) -> Callable[[timedelta], None]:
    """The hub is as old as that, and its clock goes on."""
    then = candidates.database_now()
    Workspace.objects.update(created_at=then - timedelta(days=30))

    def go(passed: timedelta) -> None:
        monkeypatch.setattr(candidates, "database_now", lambda: then + passed)

    return go


def test_an_archive_that_takes_nothing_is_a_finding(settings: Any, tmp_path: Path, archive_directory: str) -> None:
    assert examination.archive().ok
    assert list(Path(archive_directory).iterdir()) == []
    (tmp_path / "a file").touch()
    backend = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(tmp_path / "a file")},
    }
    settings.STORAGES = {**settings.STORAGES, "archive": backend}
    found = examination.archive()
    assert not found.ok
    assert found.detail.startswith("Bundles cannot be stored: ")


@pytest.mark.parametrize("gone", ["threads.jsonl.zst", "manifest.json"])
def test_a_lost_bundle_is_a_finding(tenant: Tenant, archive_directory: str, gone: str) -> None:
    acts.archive(actor=tenant.actor, thread=old_thread(tenant), now=NOW())
    assert examination.bundles().ok
    (file,) = Path(archive_directory).rglob(gone)
    file.unlink()
    found = examination.bundles()
    assert not found.ok
    assert found.detail.startswith("1 in the catalogue are not in the archive, such as workspace_")


def test_an_archive_that_is_not_mounted_is_a_finding(tenant: Tenant, archive_directory: str) -> None:
    acts.archive(actor=tenant.actor, thread=old_thread(tenant), now=NOW())
    shutil.rmtree(archive_directory)
    assert not examination.bundles().ok
    Path(archive_directory).mkdir()


def test_nights_that_were_missed_are_a_finding(tenant: Tenant, later: Callable[[timedelta], None]) -> None:
    assert examination.sweeps().ok  # nothing could be due
    policy(tenant)
    assert examination.sweeps().ok  # it was enabled just now
    for days, well in ((1, True), (3, False)):
        later(timedelta(days=days))
        assert examination.sweeps().ok is well, days
    assert "was not swept to its end for two nights" in examination.sweeps().detail
    sweep(tenant)
    assert examination.sweeps().ok


def test_two_weekly_nights_that_were_missed_are_a_finding(
    tenant: Tenant, later: Callable[[timedelta], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace, schedule="weekly", time_zone="Europe/Rome")
    policy(tenant)
    monday = nights.following(now=candidates.database_now(), zone="Europe/Rome", weekly=True)
    second = nights.following(now=monday, zone="Europe/Rome", weekly=True)
    for moment, well in (
        (monday + timedelta(days=6), True),
        (second + timedelta(hours=1), True),
        (second + timedelta(hours=3), False),
    ):
        monkeypatch.setattr(candidates, "database_now", lambda moment=moment: moment)
        assert examination.sweeps().ok is well, moment
    assert "was not swept to its end for two weekly nights" in examination.sweeps().detail
    sweep(tenant)
    assert examination.sweeps().ok


def test_what_is_applied_by_hand_is_never_missed(tenant: Tenant, later: Callable[[timedelta], None]) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace, schedule="by_hand", trash_days=1)
    acts.delete(actor=tenant.actor, thread=old_thread(tenant), now=NOW())
    policy(tenant)
    later(timedelta(days=100))
    assert examination.sweeps().ok
    RetentionSettings.objects.update(schedule="weekly")
    assert not examination.sweeps().ok


def test_nights_before_a_schedule_was_chosen_were_not_missed(
    tenant: Tenant, later: Callable[[timedelta], None]
) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace, schedule="by_hand")
    policy(tenant)
    later(timedelta(days=100))
    preferences.change(actor=tenant.actor, now=candidates.database_now(), schedule="daily")
    assert examination.sweeps().ok
    later(timedelta(days=103))
    assert not examination.sweeps().ok


def test_sweeps_that_never_come_to_their_end_are_a_finding(tenant: Tenant, later: Callable[[timedelta], None]) -> None:
    policy(tenant)
    later(timedelta(days=3))
    for _ in range(2):
        old_thread(tenant)
    assert sweep(tenant, limit=1).ended == "limit"
    assert not examination.sweeps().ok
    assert sweep(tenant).ended == "done"
    assert examination.sweeps().ok


def test_what_waits_in_the_trash_must_go_too(tenant: Tenant, later: Callable[[timedelta], None]) -> None:
    thread = old_thread(tenant)
    RetentionSettings.objects.create(workspace=tenant.workspace, trash_days=1)
    acts.delete(actor=tenant.actor, thread=thread, now=NOW())
    later(timedelta(days=2))
    assert examination.sweeps().ok
    later(timedelta(days=5))
    assert not examination.sweeps().ok


def test_a_brake_and_failures_are_findings(tenant: Tenant) -> None:
    policy(tenant)
    for ended, failed, said in (
        ("brake", [], "stopped by its brake"),
        ("done", ["The bundle x is damaged."], "The bundle x is damaged."),
        ("failed", ["A word."], "A word"),
    ):
        assert sweep(tenant).ended == "done"
        newest = Sweep.objects.order_by("-number").first()
        assert newest is not None
        newest.report = {**newest.report, "ended": ended, "failed": failed}
        newest.save()
        assert said in examination.sweeps().detail
    sweep(tenant)
    assert examination.sweeps().ok


def test_a_time_zone_that_nobody_knows_is_a_finding(tenant: Tenant) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace, time_zone="Mars/Olympus")
    assert "this machine knows no time zone 'Mars/Olympus'" in examination.sweeps().detail


def test_policies_that_only_retain_want_no_sweep(tenant: Tenant, later: Callable[[timedelta], None]) -> None:
    policy(tenant, "retain")
    later(timedelta(days=9))
    assert examination.sweeps().ok
    assert RetentionPolicy.objects.get().enabled


@pytest.mark.parametrize(("hours", "well"), [(1, True), (3, False)])
def test_a_night_under_way_is_not_missed_yet(
    tenant: Tenant, later: Callable[[timedelta], None], monkeypatch: pytest.MonkeyPatch, hours: int, well: bool
) -> None:
    """The second night without a sweep began so many hours ago."""
    policy(tenant)
    night = nights.start(now=candidates.database_now(), zone=settings_of(tenant.workspace.pk).time_zone)
    sweep(tenant)
    Sweep.objects.update(cutoff=night)
    RetentionPolicy.objects.update(acts_from=night - timedelta(days=20))
    monkeypatch.setattr(candidates, "database_now", lambda: night + timedelta(days=2, hours=hours))
    assert examination.sweeps().ok is well
