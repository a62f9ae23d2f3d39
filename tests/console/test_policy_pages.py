"""Policies in the staff console, and the workspaces' settings."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import signed_in
from tests.console.retention import POLICIES, SYSTEM, TERMS, actions_of, apply_page, text_of, text_of_followed
from tests.lifecycle.conftest import archive_directory, old_thread, policy  # noqa: F401  fixture
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.models import User
from threads.lifecycle import nights, preferences
from threads.models import (
    RetentionPolicy,
    RetentionSettings,
    SystemPolicy,
)  # fmt: skip

VALUES = {
    "schedule": "daily", "time_zone": "Europe/Rome", "trash_days": 30, "grace_hours": 1, "brake_percent": 20,
    "daily_cap": "",
}  # fmt: skip


class TestPolicies:
    def test_it_is_made_previewed_enabled_and_disabled(self, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant, title="Long ago")
        client = signed_in(olivia)
        made = client.post(f"{POLICIES}add/", {"workspace": tenant.workspace.pk, **TERMS})
        found = RetentionPolicy.objects.get()
        page = f"{POLICIES}{found.wire_id}/"
        assert (made.status_code, made["Location"], found.enabled) == (302, f"{page}preview/", False)
        assert client.post(f"{page}do/enable/").status_code == 302
        assert not RetentionPolicy.objects.get().enabled  # nobody looked at it yet
        looked = text_of(client, f"{page}preview/")
        assert "Threads are archived 90 days after their last message." in looked
        assert "Long ago" in looked
        assert "Echo 1" in looked
        assert client.post(f"{page}do/enable/").status_code == 302
        found.refresh_from_db()
        assert found.enabled
        assert "In its grace" in text_of(client, POLICIES)
        client.post(f"{page}do/disable/")
        assert "Disabled" in text_of(client, POLICIES)
        assert {"retention_policy.create", "retention_policy.enable", "retention_policy.disable"} <= set(
            actions_of(tenant)
        )

    def test_a_change_disables_it(self, olivia: User, tenant: Tenant) -> None:
        found = policy(tenant)
        terms = {**TERMS, "days": "30", "agent": "", "thread": ""}
        assert signed_in(olivia).post(f"{POLICIES}{found.wire_id}/change/", terms).status_code == 302
        found.refresh_from_db()
        assert (found.days, found.enabled) == (30, False)

    @pytest.mark.parametrize(
        ("terms", "said"),
        [
            ({"days": "0"}, "greater than or equal to 1"),
            ({"scope": "agent"}, "needs the id"),
            ({"scope": "thread", "thread": "thread_x"}, "needs the id"),
            ({"counted_from": "archived"}, "cannot be archived again"),
            ({"metadata": "[1]"}, "JSON object"),
            ({"action": "explode"}, "Select a valid choice"),
        ],
    )
    def test_what_is_no_policy_comes_back_with_the_fault(
        self, olivia: User, tenant: Tenant, terms: dict[str, str], said: str
    ) -> None:
        answer = signed_in(olivia).post(f"{POLICIES}add/", {"workspace": tenant.workspace.pk, **TERMS, **terms})
        assert answer.status_code == 200
        assert said in answer.content.decode()
        assert not RetentionPolicy.objects.exists()

    def test_the_policy_of_a_foreign_agent_is_none(self, olivia: User, tenant: Tenant, other_tenant: Tenant) -> None:
        terms = {**TERMS, "scope": "agent", "agent": str(other_tenant.agent.pk)}
        signed_in(olivia).post(f"{POLICIES}add/", {"workspace": tenant.workspace.pk, **terms})
        assert not RetentionPolicy.objects.exists()

    def test_what_retains_and_is_in_force_is_not_removed(self, olivia: User, tenant: Tenant) -> None:
        found = policy(tenant, action="retain", days=10)
        client = signed_in(olivia)
        assert "are kept, whatever other policies say, for 10 days" in text_of(client, POLICIES)
        assert "still protects" in text_of_followed(client, f"{POLICIES}{found.wire_id}/do/remove/")
        assert RetentionPolicy.objects.exists()

    def test_the_systems_are_for_superusers(self, console: Client, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant)
        assert signed_in(olivia).get(SYSTEM).status_code == 403
        assert signed_in(olivia).post(f"{SYSTEM}add/", TERMS).status_code == 403
        assert console.post(f"{SYSTEM}add/", TERMS).status_code == 302
        found = SystemPolicy.objects.get()
        page = f"{SYSTEM}{found.wire_id}/"
        assert "Threads of every workspace are archived" in text_of(console, f"{page}preview/")
        console.post(f"{page}do/enable/")
        found.refresh_from_db()
        assert (found.enabled, found.previewed_count) == (True, 1)
        console.post(f"{page}change/", {**TERMS, "days": "1"})
        found.refresh_from_db()
        assert (found.enabled, found.days) == (False, 1)
        console.post(f"{page}do/remove/")
        assert not SystemPolicy.objects.exists()
        assert AuditEvent.objects.filter(action__startswith="system_policy.").count() == 5

    def test_the_list_costs_the_same_for_one_and_for_many(self, console: Client, tenant: Tenant) -> None:
        """Session, user, policies with names and zones, workspaces for the filter."""
        policy(tenant, scope="agent", target_id=tenant.agent.pk)
        text_of(console, POLICIES)
        counts = []
        for _ in range(2):
            with CaptureQueriesContext(connection) as captured:
                text_of(console, POLICIES)
            counts.append(len(captured))
            for days in range(1, 30):
                policy(tenant, days=days, scope="agent", target_id=tenant.agent.pk)
        assert counts[0] == counts[1] <= 5


class TestSettings:
    def test_the_workspaces_are_listed_with_their_next_sweep(self, olivia: User, tenant: Tenant) -> None:
        preferences.change(actor=tenant.actor, now=timezone.now(), time_zone="Asia/Tokyo", trash_days=7)
        shown = text_of(signed_in(olivia), "/admin/threads/retentionsettings/")
        assert "acme" in shown
        assert "Asia/Tokyo" in shown
        assert "7 days" in shown
        assert "evil" not in shown

    def test_a_weekly_sweep_is_told_with_its_monday(self, olivia: User, tenant: Tenant) -> None:
        preferences.change(actor=tenant.actor, now=timezone.now(), time_zone="Asia/Tokyo", schedule="weekly")
        policy(tenant)
        monday = nights.following(now=timezone.now().astimezone(UTC), zone="Asia/Tokyo", weekly=True)
        client = signed_in(olivia)
        listed = text_of(client, "/admin/threads/retentionsettings/")
        assert f"{monday:%Y-%m-%d} 18:00 UTC Asia/Tokyo, weekly" in listed
        assert f"{monday:%Y-%m-%d} 18:00 UTC" in text_of(client, POLICIES)

    def test_what_is_applied_by_hand_says_so(self, olivia: User, tenant: Tenant) -> None:
        client = signed_in(olivia)
        removing = policy(tenant)
        assert "By hand" not in text_of(client, "/admin/threads/retentionsettings/") + text_of(client, POLICIES)
        assert "Leave it to the night" not in text_of(client, apply_page(tenant))  # nothing is due
        assert "The next sweep looks again by itself" in text_of(client, apply_page(tenant))
        preferences.change(actor=tenant.actor, now=timezone.now(), schedule="by_hand")
        assert "By hand" in text_of(client, "/admin/threads/retentionsettings/")
        assert "By hand" in text_of(client, POLICIES)
        assert "By hand" in text_of(client, f"{POLICIES}{removing.wire_id}/change/")
        assert "by itself" not in text_of(client, apply_page(tenant))
        old_thread(tenant)
        assert "Leave it to the night" not in text_of(client, apply_page(tenant))
        removing.delete()
        policy(tenant, "retain")
        assert "By hand" not in text_of(client, POLICIES)  # it removes nothing

    def test_the_schedule_is_chosen(self, olivia: User, tenant: Tenant) -> None:
        page = f"/admin/threads/retentionsettings/{tenant.workspace.wire_id}/change/"
        client = signed_in(olivia)
        shown = text_of(client, page)
        assert "Every night" in shown
        assert "what is in the trash beyond its time, too, stays until somebody purges it" in shown
        assert client.post(page, {**VALUES, "schedule": "by_hand"}).status_code == 302
        assert RetentionSettings.objects.get().schedule == "by_hand"
        assert b"Select a valid choice" in client.post(page, {**VALUES, "schedule": "hourly"}).content
        assert RetentionSettings.objects.get().schedule == "by_hand"

    def test_they_are_changed(self, olivia: User, tenant: Tenant) -> None:
        page = f"/admin/threads/retentionsettings/{tenant.workspace.wire_id}/change/"
        client = signed_in(olivia)
        assert client.post(page, VALUES).status_code == 302
        found = RetentionSettings.objects.get()
        assert (found.time_zone, found.trash_days, found.daily_cap) == ("Europe/Rome", 30, None)
        assert "retention_settings.change" in actions_of(tenant)
        assert b"not the IANA name" in client.post(page, {**VALUES, "time_zone": "Mars/Base"}).content
        assert b"not the IANA name" in client.post(page, {**VALUES, "time_zone": "../../etc/passwd"}).content


def test_a_day_that_is_over_is_followed_by_the_next_night(tenant: Tenant) -> None:
    for zone in ("UTC", "Europe/Rome", "Pacific/Apia", "America/St_Johns"):
        now = datetime(2026, 3, 28, 12, tzinfo=UTC)
        for _ in range(96):
            following = nights.following(now=now, zone=zone)
            assert now < following <= now + timedelta(hours=25)
            assert nights.start(now=following, zone=zone) == following
            now += timedelta(minutes=30)


def test_the_preview_is_told_at_the_readers_time(olivia: User, tenant: Tenant) -> None:
    client = signed_in(olivia)
    client.post(f"{POLICIES}add/", {"workspace": tenant.workspace.pk, **TERMS})
    page = f"{POLICIES}{RetentionPolicy.objects.get().wire_id}/"
    client.get(f"{page}preview/")
    asked = client.get(f"{page}do/enable/").content.decode()
    seen = RetentionPolicy.objects.get().previewed_at
    assert seen is not None
    assert f'The preview of <time class="th-time" datetime="{seen.isoformat()}">' in asked
    assert "found 0 threads." in asked
