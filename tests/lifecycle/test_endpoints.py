"""Holds, policies, settings and a thread's outlook, over HTTP."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Api, Tenant
from tests.lifecycle.conftest import old_thread, policy
from threadhub.audit.models import AuditEvent
from threadhub.lib import ids, remembered
from threadhub.workspaces.models import User
from threads.lifecycle import acts, holds, rules, trash
from threads.lifecycle.expiry import Expiry
from threads.models import Message, RetentionSettings, Thread, Tombstone

JSON = "application/json"


def patch(api: Api, path: str, body: dict[str, Any]) -> Any:
    return api.patch(path, body, content_type=JSON)


class TestHolds:
    def test_a_held_thread_survives_its_clients(self, api: Api, tenant: Tenant) -> None:
        thread = old_thread(tenant, external_ref="customer 7")
        placed = api.post("/holds", {"scope": "external_ref", "external_ref": "customer 7", "reason": "case 12"})
        assert placed.status_code == 201, placed.content
        hold = placed.json()
        assert placed["Location"] == f"/holds/{hold['id']}"
        assert (hold["in_force"], hold["released_at"], hold["placed_by"][:4]) == (True, None, "key:")
        path = f"/threads/{thread.wire_id}"
        message = thread.messages.first()
        assert message is not None
        for refused in (
            api.delete(path),
            api.delete(f"{path}/messages/{message.wire_id}"),
            api.post(f"{path}/archive"),
            api.delete(f"/api/ai/threads/{thread.wire_id}"),
        ):
            assert (refused.status_code, refused.json()["code"]) == (423, "thread_held"), refused.content
        read = api.get(path).json()
        assert (read["held"], read["expires_at"], read["policy"]) == (True, None, None)
        assert len(read["messages"]) == 3
        assert hold["release_reason"] is None
        wrong = api.post(f"/holds/{hold['id']}/release", {"reason": "x" * (holds.MAX_REASON + 1)})
        assert wrong.status_code == 422
        released = api.post(f"/holds/{hold['id']}/release", {"reason": "case 12 is over"}).json()
        assert (released["in_force"], released["released_by"]) == (False, hold["placed_by"])
        assert released["release_reason"] == "case 12 is over"
        assert api.post(f"/holds/{hold['id']}/release").json() == released
        assert api.get("/holds").json()["data"] == [released]
        assert api.delete(path).json() == {"success": True}

    def test_what_the_database_alone_keeps_is_423_too(
        self, api: Api, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        thread = old_thread(tenant)
        api.post("/holds", {"scope": "workspace", "reason": "case"})
        monkeypatch.setattr(holds, "check", lambda **_: None)
        refused = api.delete(f"/threads/{thread.wire_id}")
        assert (refused.status_code, refused.json()["code"]) == (423, "thread_held")
        assert Thread.objects.count() == 1

    @pytest.mark.parametrize(
        ("body", "place"),
        [
            ({"scope": "thread", "reason": "x"}, None),
            ({"scope": "thread", "target_id": "agent_1", "reason": "x"}, "target_id"),
            ({"scope": "workspace", "target_id": ids.encode("thread", ids.new()), "reason": "x"}, "target_id"),
            ({"scope": "agent", "target_id": ids.encode("agent", ids.new()), "reason": "x"}, None),
            ({"scope": "external_ref", "reason": "x"}, None),
            ({"scope": "workspace", "reason": "  "}, "reason"),
            ({"scope": "workspace"}, "reason"),
            ({"scope": "planet", "reason": "x"}, "scope"),
            ({"scope": "workspace", "reason": "x", "until": "tomorrow"}, "until"),
        ],
    )
    def test_what_is_no_hold_is_refused(self, api: Api, body: dict[str, Any], place: str | None) -> None:
        response = api.post("/holds", body)
        assert response.status_code == 422, response.content
        assert [row["loc"] for row in response.json().get("errors", [])] == ([["body", place]] if place else [])

    def test_members_may_not_and_foreign_holds_are_not_found(
        self, api: Api, as_user: Any, alice: User, mallory: User, tenant: Tenant
    ) -> None:
        hold = api.post("/holds", {"scope": "workspace", "reason": "x"}).json()["id"]
        assert as_user(alice).post("/holds", {"scope": "workspace", "reason": "x"}).status_code == 403
        assert as_user(alice).get("/holds").status_code == 403
        assert as_user(mallory).get(f"/holds/{hold}").status_code == 404
        assert as_user(mallory).post(f"/holds/{hold}/release").status_code == 404
        assert as_user(mallory).get("/holds").json()["count"] == 0

    def test_it_is_in_the_audit_trail(self, api: Api) -> None:
        hold = api.post("/holds", {"scope": "workspace", "reason": "x"}).json()["id"]
        api.post(f"/holds/{hold}/release")
        actions = list(
            AuditEvent.objects.filter(action__startswith="hold.").order_by("id").values_list("action", flat=True)
        )
        assert actions == ["hold.place", "hold.release"]


class TestPolicies:
    def made(self, api: Api, **terms: Any) -> dict[str, Any]:
        response = api.post("/retention_policies", {"action": "purge", "days": 90, **terms})
        assert response.status_code == 201, response.content
        body: dict[str, Any] = response.json()
        return body

    def test_its_life(self, api: Api, tenant: Tenant) -> None:
        threads = [old_thread(tenant), old_thread(tenant, 10)]
        made = self.made(api, name="90 days")
        path = f"/retention_policies/{made['id']}"
        assert (made["enabled"], made["scope"], made["counted_from"]) == (False, "workspace", "last_activity")
        refused = api.post(f"{path}/enable")
        assert (refused.status_code, refused.json()["code"]) == (409, "policy_not_previewed")
        preview = api.post(f"{path}/preview").json()
        assert (preview["due"], preview["by_policy"], preview["threads"]) == (1, {made["id"]: 1}, 2)
        assert preview["sample"] == [threads[0].wire_id]
        enabled = api.post(f"{path}/enable").json()
        assert enabled["enabled"]
        assert datetime.fromisoformat(enabled["acts_from"]) > timezone.now() + timedelta(hours=23)
        read = api.get(f"/threads/{threads[1].wire_id}").json()
        assert read["policy"] == {
            "id": made["id"], "name": "90 days", "scope": "workspace", "action": "purge", "days": 90,
        }  # fmt: skip
        due = datetime.fromisoformat(read["expires_at"])
        assert abs(due - timezone.now() - timedelta(days=80)) < timedelta(minutes=5)
        changed = patch(api, path, {"days": 30}).json()
        assert (changed["days"], changed["enabled"], changed["acts_from"]) == (30, False, None)
        assert api.post(f"{path}/enable").status_code == 409
        assert api.get(f"/threads/{threads[1].wire_id}").json()["policy"] is None
        assert api.delete(path).status_code == 204
        assert api.get(path).status_code == 404

    def test_what_protects_goes_on_for_its_grace(self, api: Api, tenant: Tenant) -> None:
        made = self.made(api, action="retain", days=3650)
        path = f"/retention_policies/{made['id']}"
        api.post(f"{path}/preview")
        api.post(f"{path}/enable")
        for response in (api.delete(path), patch(api, path, {"days": 1})):
            assert (response.status_code, response.json()["code"]) == (409, "policy_in_force")
        assert not api.post(f"{path}/disable").json()["enabled"]
        assert api.delete(path).json()["code"] == "policy_in_force"
        now = timezone.now()
        workspace = tenant.workspace.pk
        assert len(rules.in_force(workspace_id=workspace, now=now)) == 1
        assert rules.in_force(workspace_id=workspace, now=now + timedelta(hours=25)) == []

    @pytest.mark.parametrize(
        ("terms", "place"),
        [
            ({"days": 0}, "days"),
            ({"days": 1.5}, "days"),
            ({"days": 40_000}, "days"),
            ({"action": "burn"}, "action"),
            ({"scope": "agent"}, "target_id"),
            ({"scope": "thread", "target_id": ids.encode("thread", ids.new())}, "target_id"),
            ({"external_ref_prefix": ""}, "external_ref_prefix"),
            ({"metadata": {}}, "metadata"),
            ({"origin": "mail"}, "origin"),
            ({"action": "archive", "counted_from": "archived"}, "counted_from"),
            ({"enabled": True}, "enabled"),
            ({"acts_from": "2020-01-01"}, "acts_from"),
        ],
    )
    def test_what_is_no_policy_is_refused(self, api: Api, terms: dict[str, Any], place: str) -> None:
        response = api.post("/retention_policies", {"action": "purge", "days": 90, **terms})
        assert response.status_code == 422, response.content
        assert ["body", place] in [row["loc"] for row in response.json()["errors"]]

    def test_members_may_not_and_foreign_ones_are_not_found(
        self, api: Api, as_user: Any, alice: User, mallory: User
    ) -> None:
        path = f"/retention_policies/{self.made(api)['id']}"
        assert as_user(alice).get(path).status_code == 403
        for response in (
            as_user(mallory).get(path),
            as_user(mallory).delete(path),
            as_user(mallory).post(f"{path}/preview"),
            as_user(mallory).post(f"{path}/enable"),
            patch(as_user(mallory), path, {"days": 1}),
        ):
            assert response.status_code == 404


class TestSettings:
    def test_they_have_defaults_and_are_changed(self, api: Api, tenant: Tenant, as_user: Any, alice: User) -> None:
        defaults = {
            "schedule": "daily", "time_zone": "UTC", "trash_days": 0, "daily_cap": None, "brake_percent": 50,
            "grace_hours": 24,
        }  # fmt: skip
        assert api.get("/retention_settings").json() == defaults
        changed = patch(api, "/retention_settings", {"time_zone": "Europe/Berlin", "trash_days": 7})
        assert changed.json() == {**defaults, "time_zone": "Europe/Berlin", "trash_days": 7}
        for wrong in ({"time_zone": "Mars/Olympus"}, {"time_zone": "../etc/passwd"}, {"trash_days": -1}, {"x": 1}):
            assert patch(api, "/retention_settings", wrong).status_code == 422, wrong
        assert as_user(alice).get("/retention_settings").status_code == 403
        assert RetentionSettings.objects.get().trash_days == 7

    @pytest.mark.parametrize("schedule", ["weekly", "by_hand", "daily"])
    def test_sweeps_are_scheduled(self, api: Api, schedule: str) -> None:
        assert patch(api, "/retention_settings", {"schedule": schedule}).json()["schedule"] == schedule
        assert api.get("/retention_settings").json()["schedule"] == schedule
        assert AuditEvent.objects.get(action="retention_settings.change").details == {"schedule": schedule}

    @pytest.mark.parametrize("schedule", ["hourly", "", None, 7, ["daily"], "Daily"])
    def test_what_is_no_schedule_is_refused(self, api: Api, schedule: Any) -> None:
        refused = patch(api, "/retention_settings", {"schedule": schedule})
        assert refused.status_code == 422
        assert [row["loc"] for row in refused.json()["errors"]] == [["body", "schedule"]]
        assert not RetentionSettings.objects.exists()


class TestTrash:
    @pytest.fixture(autouse=True)
    def _on(self, tenant: Tenant) -> None:
        RetentionSettings.objects.create(workspace=tenant.workspace, trash_days=7)

    @pytest.mark.parametrize("dialect", ["/threads", "/api/ai/threads"])
    def test_what_a_client_deletes_can_be_brought_back(self, api: Api, tenant: Tenant, dialect: str) -> None:
        thread = old_thread(tenant, external_ref="ticket")
        path = f"{dialect}/{thread.wire_id}"
        assert api.delete(path).status_code == 200
        assert api.get(path).status_code == 404
        assert api.delete(path).status_code == 404
        assert api.get(f"/threads/{thread.wire_id}/messages").status_code == 404
        assert api.post(f"/threads/{thread.wire_id}/invoke", {"prompt": "x"}).status_code == 404
        assert api.get("/threads").json()["count"] == 0
        assert api.get(f"/search?q={thread.pk}").json()["data"] == []
        newer = api.put(f"/agents/{tenant.agent.wire_id}/threads/by-ref/ticket", {}, content_type=JSON).json()["id"]
        assert newer != thread.wire_id
        trash.take_out(actor=tenant.actor, thread_id=thread.pk, now=timezone.now(), grace=timedelta(days=1))
        assert len(api.get(f"/threads/{thread.wire_id}").json()["messages"]) == 3
        assert (
            api.put(f"/agents/{tenant.agent.wire_id}/threads/by-ref/ticket", {}, content_type=JSON).json()["id"]
            == newer
        )
        with pytest.raises(trash.NotInTrash):
            trash.take_out(actor=tenant.actor, thread_id=thread.pk, now=timezone.now(), grace=timedelta(days=1))

    def test_an_archived_thread_comes_back_archived(self, api: Api, tenant: Tenant) -> None:
        thread = acts.archive(actor=tenant.actor, thread=old_thread(tenant), now=timezone.now())
        api.delete(f"/threads/{thread.wire_id}")
        trash.take_out(actor=tenant.actor, thread_id=thread.pk, now=timezone.now(), grace=timedelta(days=1))
        read = api.get(f"/threads/{thread.wire_id}").json()
        assert (read["state"], len(read["messages"])) == ("archived", 3)


def test_without_a_trash_a_deleted_thread_leaves_a_tombstone_only(api: Api, tenant: Tenant) -> None:
    thread = old_thread(tenant)
    api.delete(f"/threads/{thread.wire_id}")
    stone = Tombstone.objects.get()
    assert (stone.thread_id, stone.reason, stone.state) == (thread.pk, "client", "active")
    assert Message.objects.count() == 0


def test_what_is_told_of_threads_costs_one_query_for_all(api: Api, tenant: Tenant) -> None:
    counts = []
    for _ in range(2):
        for _ in range(3):
            old_thread(tenant)
        policy(tenant, days=500)
        remembered.forget()
        with CaptureQueriesContext(connection) as queries:
            rows = api.get("/threads?include_messages=false").json()["data"]
        counts.append(len(queries))
        assert all(row["expires_at"] for row in rows)
    assert counts[0] == counts[1]


def test_what_is_told_is_read_as_sweeps_read_it(tenant: Tenant) -> None:
    policy(tenant, "archive", 30, scope="agent", target_id=tenant.agent.pk, metadata={"a": 1}, name="x")
    policy(tenant, "retain", 3, external_ref_prefix="eu-", origin="direct")
    now = timezone.now()
    told = Expiry(workspace_id=tenant.workspace.pk, now=now)
    assert sorted(told.in_force.rules, key=lambda rule: rule.id) == sorted(
        rules.in_force(workspace_id=tenant.workspace.pk, now=now), key=lambda rule: rule.id
    )
