"""What will be due for retention in the days to come."""

from datetime import UTC, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import PASSWORD, Tenant
from tests.lifecycle.conftest import old_thread, policy
from threadhub.workspaces.models import User
from threads.actions import threads
from threads.lifecycle import forecast, holds, preferences
from threads.models import RetentionForecast

pytestmark = pytest.mark.django_db(transaction=True)


def told(tenant: Tenant) -> list[tuple[int, str, int]]:
    """In how many days, what, how many threads."""
    now = timezone.now()
    forecast.make(workspace_id=tenant.workspace.pk, now=now)
    today = now.astimezone(UTC).date()
    rows = RetentionForecast.objects.filter(workspace=tenant.workspace)
    return [((row.day - today).days, row.action, row.threads) for row in rows]


def test_each_thread_is_told_on_its_day(tenant: Tenant) -> None:
    policy(tenant, "archive", 90)
    for days in (200, 89.5, 80, 80, 60.5, 30):
        old_thread(tenant, days)
    found = told(tenant)
    assert sum(count for _, _, count in found) == 5  # that of 30 days has 60 left
    assert found[0][:2] == (0, "archive")  # what is due already
    assert {day for day, _, _ in found} <= {0, 1, 10, 29, 30}
    assert (10, "archive", 2) in found


def test_what_is_held_or_kept_is_not_told(tenant: Tenant) -> None:
    policy(tenant, "purge", 90)
    held = old_thread(tenant, 200)
    holds.place(actor=tenant.actor, now=timezone.now(), scope="thread", target_id=held.pk, reason="suit")
    assert told(tenant) == []


def test_the_trash_is_told(tenant: Tenant) -> None:
    preferences.change(actor=tenant.actor, now=timezone.now(), trash_days=7)
    threads.delete(actor=tenant.actor, thread=old_thread(tenant, 1), now=timezone.now())
    ((day, action, count),) = told(tenant)
    assert (action, count) == ("purge", 1)
    assert day in (6, 7)


def test_it_is_made_once_a_day_for_each_workspace(tenant: Tenant, other_tenant: Tenant) -> None:
    policy(tenant, "archive", 90)
    old_thread(tenant, 100)
    now = timezone.now()
    assert forecast.make_due(now=now) == 1
    assert forecast.make_due(now=now + timedelta(hours=22)) == 0
    assert forecast.make_due(now=now + timedelta(hours=24)) == 1
    assert RetentionForecast.objects.count() == 1


def test_nothing_is_told_of_workspaces_without_policies(tenant: Tenant) -> None:
    old_thread(tenant, 1000)
    assert told(tenant) == []


def test_the_front_page_shows_it(tenant: Tenant) -> None:
    User.objects.create_superuser("root", password=PASSWORD)
    policy(tenant, "purge", 90)
    old_thread(tenant, 100)
    told(tenant)
    client = Client()
    client.force_login(User.objects.get(username="root"))
    assert "1 thread, 1 of them for ever" in client.get("/admin/").content.decode()
