"""Holds in the staff console, and who may see the retention pages."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant, make_user
from tests.console.conftest import signed_in
from tests.console.retention import HOLDS, POLICIES, TERMS, actions_of, apply_page, text_of
from tests.lifecycle.conftest import archive_directory, old_thread, policy  # noqa: F401  fixture
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role
from threads.lifecycle import holds
from threads.models import (
    Hold,
    RetentionPolicy,
    Thread,
)  # fmt: skip


class TestHolds:
    def test_one_is_placed_with_a_reason_and_released_with_a_reason(self, olivia: User, tenant: Tenant) -> None:
        thread = old_thread(tenant, title="In dispute")
        client = signed_in(olivia)
        form = {"workspace": tenant.workspace.pk, "scope": "thread", "target": thread.wire_id, "reason": "Case 12"}
        assert client.post(f"{HOLDS}add/", {**form, "reason": " "}).status_code == 200
        assert client.post(f"{HOLDS}add/", form).status_code == 302
        hold = Hold.objects.get()
        assert "The thread “In dispute”" in text_of(client, HOLDS)
        assert "On hold" in text_of(client, "/admin/threads/thread/")
        assert "On hold" in text_of(client, f"/admin/threads/thread/{thread.wire_id}/change/")
        deletion, typed = f"/admin/threads/thread/{thread.wire_id}/do/delete/", {"typed": thread.wire_id[-6:]}
        assert b"on legal hold" in client.post(deletion, typed, follow=True).content
        assert client.post(f"{HOLDS}{hold.wire_id}/do/release/", {"reason": ""}).status_code == 200
        assert Hold.objects.get().in_force
        client.post(f"{HOLDS}{hold.wire_id}/do/release/", {"reason": "Closed"})
        hold.refresh_from_db()
        assert (hold.in_force, hold.release_reason) == (False, "Closed")
        assert "Closed" in text_of(client, f"{HOLDS}{hold.wire_id}/change/")
        assert sorted(a for a in actions_of(tenant) if a.startswith("hold.")) == ["hold.place", "hold.release"]

    @pytest.mark.parametrize(
        ("scope", "target"),
        [("thread", ""), ("thread", "x"), ("agent", "agent_1"), ("user", "nobody"), ("external_ref", ""),
         ("workspace", "x"), ("planet", "x"), ("thread", "a\x00b")],
    )  # fmt: skip
    def test_what_is_no_hold_comes_back(self, olivia: User, tenant: Tenant, scope: str, target: str) -> None:
        form = {"workspace": tenant.workspace.pk, "scope": scope, "target": target, "reason": "x"}
        assert signed_in(olivia).post(f"{HOLDS}add/", form).status_code == 200
        assert not Hold.objects.exists()

    def test_a_user_is_named_and_a_reference_given(self, olivia: User, alice: User, tenant: Tenant) -> None:
        client = signed_in(olivia)
        for scope, target in (("user", "alice"), ("external_ref", " a b "), ("agent", tenant.agent.wire_id)):
            client.post(
                f"{HOLDS}add/", {"workspace": tenant.workspace.pk, "scope": scope, "target": target, "reason": "x"}
            )
        found = {hold.scope: (hold.target_id, hold.external_ref) for hold in Hold.objects.all()}
        assert found == {"user": (alice.pk, None), "external_ref": (None, " a b "), "agent": (tenant.agent.pk, None)}

    def test_threads_are_filtered_by_being_held(self, olivia: User, alice: User, tenant: Tenant) -> None:
        threads = {name: old_thread(tenant, title=f"called {name}", external_ref=name) for name in "abcd"}
        Thread.objects.filter(pk=threads["b"].pk).update(user=alice)
        place = {"actor": tenant.actor, "reason": "x", "now": timezone.now()}
        holds.place(scope="external_ref", external_ref="a", **place)
        holds.place(scope="user", target_id=alice.pk, **place)
        holds.place(scope="thread", target_id=threads["c"].pk, **place)
        client = signed_in(olivia)
        shown = {held: text_of(client, f"/admin/threads/thread/?held={held}") for held in ("yes", "no", "zzz")}
        listed = {held: [name for name in "abcd" if f"called {name}" in shown[held]] for held in shown}
        assert listed == {"yes": ["a", "b", "c"], "no": ["d"], "zzz": []}
        holds.place(scope="workspace", **place)
        assert "called d" in text_of(client, "/admin/threads/thread/?held=yes")
        assert "called" not in text_of(client, "/admin/threads/thread/?held=no")


class TestRights:
    NOUNS = ("retentionsettings", "retentionpolicy", "hold", "bundle", "sweep", "retentionjob", "tombstone")

    def test_members_and_viewers_who_are_staff_see_none_of_it(self, tenant: Tenant) -> None:
        for role in (Role.MEMBER, Role.VIEWER):
            user = make_user(f"staff {role}", tenant.workspace, role)
            User.objects.filter(pk=user.pk).update(is_staff=True)
            user.refresh_from_db()
            client = signed_in(user)
            assert {noun: client.get(f"/admin/threads/{noun}/").status_code for noun in self.NOUNS} == dict.fromkeys(
                self.NOUNS, 403
            )
            assert client.get(apply_page(tenant)).status_code == 404
            assert client.post(f"{POLICIES}add/", {"workspace": tenant.workspace.pk, **TERMS}).status_code == 403
            assert "Tombstones" not in client.get("/admin/").content.decode()

    def test_others_workspaces_are_not_there(self, olivia: User, tenant: Tenant, other_tenant: Tenant) -> None:
        old_thread(other_tenant, title="foreign secret")
        foreign = policy(other_tenant, action="archive", name="foreign secret")
        hold = holds.place(actor=other_tenant.actor, scope="workspace", reason="foreign secret", now=timezone.now())
        client = signed_in(olivia)
        for noun in self.NOUNS:
            assert "foreign secret" not in text_of(client, f"/admin/threads/{noun}/")
            assert "evil" not in text_of(client, f"/admin/threads/{noun}/")
        assert client.get(apply_page(other_tenant)).status_code == 404
        assert client.get(f"{POLICIES}{foreign.wire_id}/preview/").status_code == 404
        assert client.post(f"{POLICIES}{foreign.wire_id}/do/disable/").status_code == 404
        assert client.post(f"{HOLDS}{hold.wire_id}/do/release/", {"reason": "x"}).status_code == 404
        form = {"workspace": other_tenant.workspace.pk, "scope": "workspace", "reason": "x"}
        client.post(f"{HOLDS}add/", form)
        client.post(f"{POLICIES}add/", {**TERMS, "workspace": other_tenant.workspace.pk})
        assert (Hold.objects.count(), RetentionPolicy.objects.count()) == (1, 1)
        assert RetentionPolicy.objects.get().enabled

    def test_nothing_of_the_past_is_written_by_hand(self, console: Client, tenant: Tenant) -> None:
        old_thread(tenant)
        for noun in ("bundle", "sweep", "retentionjob", "tombstone", "retentionsettings"):
            assert console.get(f"/admin/threads/{noun}/add/").status_code == 403
        hold = holds.place(actor=tenant.actor, scope="workspace", reason="right", now=timezone.now())
        assert console.post(f"{HOLDS}{hold.wire_id}/change/", {"reason": "wrong"}).status_code == 403
        assert Hold.objects.get().reason == "right"
