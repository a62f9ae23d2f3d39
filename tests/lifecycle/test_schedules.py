"""A workspace is swept every night, every week or by hand, as it chose."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread, policy
from tests.lifecycle.test_commands import run
from threadhub.lib.errors import Invalid
from threads.lifecycle import acts, candidates, nightly, nights, preferences
from threads.models import RetentionSettings, Sweep, Thread

DAY = timedelta(days=1)
ROME = ZoneInfo("Europe/Rome")


@pytest.fixture
def night_of(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], int]:
    """A thread becomes due, and the worker looks at that moment: how many it takes."""
    policy(tenant)

    def look(moment: datetime) -> int:
        old_thread(tenant, messages=1)
        monkeypatch.setattr(candidates, "database_now", lambda: moment.astimezone(UTC))
        return nightly.sweep_all()

    return look


def test_the_worker_sweeps_a_week_once_in_the_night_to_monday(
    tenant: Tenant, night_of: Callable[[datetime], int]
) -> None:
    """Three weeks, looked at four times a day: at 1, 7, 13 and 19 o'clock."""
    RetentionSettings.objects.create(
        workspace=tenant.workspace, schedule="weekly", time_zone="Europe/Rome", brake_percent=100
    )
    following = nights.following(now=candidates.database_now(), zone="Europe/Rome", weekly=True).astimezone(ROME)
    monday = following + 7 * DAY  # so that on a Sunday too nobody looks before the policy is there
    looks = [(monday + number * DAY).replace(hour=hour) for number in range(-2, 15) for hour in (1, 7, 13, 19)]
    night_of(looks[0])  # what was missed before anybody looked is made up for at once
    taken = {(moment.date() - monday.date()).days: night_of(moment) for moment in looks[1:] if moment.hour == 7}
    assert {day: count for day, count in taken.items() if count} == {0: 3, 7: 7, 14: 7}
    assert Sweep.objects.count() == 4
    for moment in looks:
        if moment.hour != 7 and moment > monday + 14 * DAY:
            assert night_of(moment) == 0


def test_a_weekly_night_that_was_missed_is_made_up_for(tenant: Tenant, night_of: Callable[[datetime], int]) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace, schedule="weekly")
    monday = nights.following(now=candidates.database_now(), zone="UTC", weekly=True)
    assert [night_of(monday + passed * DAY) for passed in (3, 4, 7)] == [1, 0, 2]


def test_nothing_is_swept_by_itself_where_it_is_done_by_hand(
    tenant: Tenant, night_of: Callable[[datetime], int]
) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace, schedule="by_hand", trash_days=1)
    acts.delete(actor=tenant.actor, thread=old_thread(tenant), now=timezone.now())
    now = candidates.database_now()
    assert [night_of(now + passed * DAY / 4) for passed in range(40)] == [0] * 40
    assert (Sweep.objects.count(), Thread.objects.filter(state="trashed").count()) == (0, 1)


def test_commands_do_what_is_done_by_hand(tenant: Tenant) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace, schedule="by_hand", trash_days=1)
    acts.delete(actor=tenant.actor, thread=old_thread(tenant), now=timezone.now())
    Thread.objects.update(purge_after=timezone.now() - DAY)
    policy(tenant)
    old_thread(tenant)
    run("retention_apply", "--yes")
    run("purge_trash", "--yes")
    assert not Thread.objects.exists()


def test_only_a_sweep_that_was_due_collects_orphans(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    collected: list[bool] = []
    monkeypatch.setattr(nightly, "_collect_orphans", lambda: collected.append(True))
    policy(tenant)
    settings = RetentionSettings.objects.create(workspace=tenant.workspace, schedule="by_hand")
    nightly.sweep_all()
    assert collected == []
    settings.schedule = "weekly"
    settings.save()
    nightly.sweep_all()
    nightly.sweep_all()
    assert collected == [True]


@pytest.mark.parametrize(("schedule", "weekly"), [("daily", False), ("weekly", True)])
def test_a_schedule_begins_with_the_next_night_after_it_was_chosen(
    tenant: Tenant, night_of: Callable[[datetime], int], schedule: str, weekly: bool
) -> None:
    """As the console tells it: what waited for somebody's hand does not go within minutes."""
    RetentionSettings.objects.create(workspace=tenant.workspace, schedule="by_hand")
    hour = timedelta(hours=1)
    now = candidates.database_now() + timedelta(minutes=1)
    preferences.change(actor=tenant.actor, now=now, schedule=schedule)
    night = nights.following(now=now, zone="UTC", weekly=weekly)
    preferences.change(actor=tenant.actor, now=night + hour, schedule=schedule, trash_days=3)  # no choice anew
    looks = [now, night - timedelta(microseconds=1), night + 2 * hour, night + 3 * hour]
    assert [night_of(moment) for moment in looks] == [0, 0, 3, 0]
    assert Sweep.objects.count() == 1


def test_the_daily_cap_is_a_days_whatever_the_schedule(tenant: Tenant, night_of: Callable[[datetime], int]) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace, schedule="weekly", daily_cap=2)
    old_thread(tenant)
    old_thread(tenant)
    monday = nights.following(now=candidates.database_now(), zone="UTC", weekly=True)
    assert [night_of(monday + passed * DAY) for passed in (0, 1, 7)] == [2, 0, 2]


def test_what_is_no_schedule_is_refused_by_domain_and_database(tenant: Tenant) -> None:
    with pytest.raises(Invalid):
        preferences.change(actor=tenant.actor, now=timezone.now(), schedule="hourly")
    with pytest.raises(IntegrityError), transaction.atomic():
        RetentionSettings.objects.create(workspace=tenant.workspace, schedule="hourly")


def test_processes_that_know_no_schedule_go_on_making_settings(tenant: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO threads_retentionsettings"
            " (workspace_id, time_zone, trash_days, brake_percent, grace_hours) VALUES (%s, 'UTC', 0, 50, 24)",
            [tenant.workspace.pk],
        )
    assert RetentionSettings.objects.get().schedule == "daily"
