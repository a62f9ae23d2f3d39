"""The staff console's retention pages: policies, plans, jobs, holds, trash, bundles, tombstones."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant, make_user
from tests.console.conftest import Everything, signed_in
from tests.lifecycle.conftest import age, archive_directory, old_thread, policy  # noqa: F401  fixture
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role
from threads.lifecycle import acts, holds, jobs, preferences, trash
from threads.models import (
    Bundle,
    BundledThread,
    Hold,
    Message,
    RetentionJob,
    RetentionPolicy,
    RetentionSettings,
    Sweep,
    SystemPolicy,
    Thread,
    Tombstone,
)  # fmt: skip

POLICIES = "/admin/threads/retentionpolicy/"
SYSTEM = "/admin/threads/systempolicy/"
HOLDS = "/admin/threads/hold/"
TERMS = {"action": "archive", "days": "90", "counted_from": "last_activity", "scope": "workspace"}


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


def plan_of(client: Client, tenant: Tenant) -> dict[str, str]:
    """What a browser posts from the page of a plan."""
    html = client.get(apply_page(tenant)).content.decode()
    found = re.search(r'name="plan" value="([^"]+)"', html)
    assert found is not None
    return {"plan": found[1]}


def apply_page(tenant: Tenant) -> str:
    return f"/admin/threads/retentionsettings/{tenant.workspace.wire_id}/apply/"


def actions_of(tenant: Tenant) -> list[str]:
    return list(AuditEvent.objects.filter(workspace_id=tenant.workspace.pk).values_list("action", flat=True))


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


def text_of_followed(client: Client, address: str) -> str:
    return client.post(address, follow=True).content.decode()


class TestApplying:
    def test_what_was_confirmed_is_done_by_the_worker_and_reported(self, olivia: User, tenant: Tenant) -> None:
        gone, kept = old_thread(tenant), old_thread(tenant, days=1)
        policy(tenant, action="archive")
        client = signed_in(olivia)
        answer = client.post(apply_page(tenant), plan_of(client, tenant))
        job = RetentionJob.objects.get()
        page = f"/admin/threads/retentionjob/{job.wire_id}/"
        assert answer["Location"] == f"{page}change/"
        assert client.get(f"{page}progress/").json() == {"status": "queued", "done": 0, "planned": 1, "ended": ""}
        assert f'data-th-progress="{page}progress/"' in client.get(f"{page}change/").content.decode()
        assert Message.objects.filter(thread=gone).exists()
        assert jobs.do_waiting() == 1
        assert client.get(f"{page}progress/").json() == {"status": "done", "done": 1, "planned": 1, "ended": "done"}
        assert "1 archived" in text_of(client, f"{page}change/")
        assert {each.pk: each.state for each in Thread.objects.all()} == {gone.pk: "archived", kept.pk: "active"}
        sweep = Sweep.objects.get()
        shown = text_of(client, f"/admin/threads/sweep/{sweep.wire_id}/change/")
        assert "As written, and follows the report before" in shown
        assert "1 archived" in shown
        assert "retention_job.create" in actions_of(tenant)

    def test_an_altered_report_shows(self, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant)
        policy(tenant, action="archive")
        client = signed_in(olivia)
        client.post(apply_page(tenant), plan_of(client, tenant))
        jobs.do_waiting()
        Sweep.objects.update(report={"taken": 0})
        assert "Altered" in text_of(client, f"/admin/threads/sweep/{Sweep.objects.get().wire_id}/change/")

    def test_a_plan_that_changed_is_not_applied(self, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant)
        policy(tenant, action="archive")
        client = signed_in(olivia)
        seen = plan_of(client, tenant)
        old_thread(tenant)
        answer = client.post(apply_page(tenant), seen, follow=True)
        assert "no longer what you looked at" in answer.content.decode()
        assert not RetentionJob.objects.exists()

    def test_more_than_was_confirmed_is_never_done(self, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant)
        policy(tenant, action="archive")
        client = signed_in(olivia)
        client.post(apply_page(tenant), plan_of(client, tenant))
        old_thread(tenant)
        jobs.do_waiting()
        job = RetentionJob.objects.get()
        assert (job.status, job.ended, job.done) == ("failed", "changed", 0)
        assert not Thread.objects.filter(state="archived").exists()
        assert "nothing was done" in text_of(client, f"/admin/threads/retentionjob/{job.wire_id}/change/")

    def test_destroying_wants_the_number_typed(self, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant)
        policy(tenant, action="purge")
        client = signed_in(olivia)
        for typed in ({}, {"typed": "2"}):
            answer = client.post(apply_page(tenant), {**plan_of(client, tenant), **typed})
            assert (answer.status_code, RetentionJob.objects.count()) == (200, 0)
        client.post(apply_page(tenant), {**plan_of(client, tenant), "typed": "1"})
        jobs.do_waiting()
        assert not Thread.objects.exists()
        assert "By a policy" in text_of(client, "/admin/threads/tombstone/")

    def test_what_the_brake_would_stop_needs_leave_and_then_goes(self, olivia: User, tenant: Tenant) -> None:
        found = policy(tenant, action="archive")
        for _ in range(12):
            old_thread(tenant, messages=1)
        RetentionPolicy.objects.update(previewed_count=0)
        client = signed_in(olivia)
        assert "The brake would stop this" in text_of(client, apply_page(tenant))
        assert client.post(apply_page(tenant), plan_of(client, tenant)).status_code == 200
        client.post(apply_page(tenant), {**plan_of(client, tenant), "typed": "12"})
        jobs.do_waiting()
        assert RetentionJob.objects.get().ended == "done"
        assert Thread.objects.filter(state="archived").count() == 12
        assert found.pk

    def test_one_at_a_time_in_a_workspace(self, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant)
        policy(tenant, action="archive")
        client = signed_in(olivia)
        seen = plan_of(client, tenant)
        client.post(apply_page(tenant), seen)
        assert b"waiting or going on" in client.post(apply_page(tenant), seen, follow=True).content
        assert RetentionJob.objects.count() == 1

    def test_a_stopped_one_ends_after_its_batch(self, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant)
        policy(tenant, action="archive")
        client = signed_in(olivia)
        client.post(apply_page(tenant), plan_of(client, tenant))
        job = RetentionJob.objects.get()
        client.post(f"/admin/threads/retentionjob/{job.wire_id}/do/stop/")
        jobs.do_waiting()
        job.refresh_from_db()
        assert (job.status, job.ended, job.done) == ("done", "stopped", 0)
        assert Thread.objects.get().state == "active"

    @pytest.mark.parametrize("plan", ["", "x", "a:b:c", "\x00"])
    def test_no_other_plan_is_taken(self, olivia: User, tenant: Tenant, plan: str) -> None:
        answer = signed_in(olivia).post(apply_page(tenant), {"plan": plan})
        assert (answer.status_code, RetentionJob.objects.count()) == (302, 0)

    def test_a_worker_that_died_is_followed_by_another(self, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant)
        policy(tenant, action="archive")
        client = signed_in(olivia)
        client.post(apply_page(tenant), plan_of(client, tenant))
        RetentionJob.objects.update(status="running", started_at=timezone.now())
        jobs.do_waiting()
        assert (RetentionJob.objects.get().ended, Thread.objects.get().state) == ("done", "archived")


class TestSettings:
    def test_the_workspaces_are_listed_with_their_next_sweep(self, olivia: User, tenant: Tenant) -> None:
        preferences.change(actor=tenant.actor, now=timezone.now(), time_zone="Asia/Tokyo", trash_days=7)
        shown = text_of(signed_in(olivia), "/admin/threads/retentionsettings/")
        assert "acme" in shown
        assert "Asia/Tokyo" in shown
        assert "7 days" in shown
        assert "evil" not in shown

    def test_they_are_changed(self, olivia: User, tenant: Tenant) -> None:
        page = f"/admin/threads/retentionsettings/{tenant.workspace.wire_id}/change/"
        client = signed_in(olivia)
        values = {"time_zone": "Europe/Rome", "trash_days": 30, "grace_hours": 1, "brake_percent": 20, "daily_cap": ""}
        assert client.post(page, values).status_code == 302
        found = RetentionSettings.objects.get()
        assert (found.time_zone, found.trash_days, found.daily_cap) == ("Europe/Rome", 30, None)
        assert "retention_settings.change" in actions_of(tenant)
        assert b"not the IANA name" in client.post(page, {**values, "time_zone": "Mars/Base"}).content
        assert b"not the IANA name" in client.post(page, {**values, "time_zone": "../../etc/passwd"}).content


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
        assert "on legal hold" in text_of_followed(client, f"/admin/threads/thread/{thread.wire_id}/do/delete/")
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


class TestTrash:
    def test_a_thread_comes_back_from_it(self, olivia: User, tenant: Tenant) -> None:
        preferences.change(actor=tenant.actor, now=timezone.now(), trash_days=30)
        thread = old_thread(tenant, title="A mistake")
        client = signed_in(olivia)
        page = f"/admin/threads/thread/{thread.wire_id}/"
        assert "bring it back for 30 days" in text_of(client, f"{page}do/delete/")
        client.post(f"{page}do/delete/")
        assert "A mistake" in text_of(client, "/admin/threads/thread/?state=trashed")
        assert "Destroyed after" in text_of(client, f"{page}change/")
        client.post(f"{page}do/untrash/")
        assert Thread.objects.get().state == "active"
        assert "thread.untrash" in actions_of(tenant)

    def test_it_is_purged_when_its_id_is_typed(self, olivia: User, tenant: Tenant) -> None:
        thread = old_thread(tenant)
        client = signed_in(olivia)
        page = f"/admin/threads/thread/{thread.wire_id}/do/purge/"
        assert b"not in the trash" in client.post(page, {"typed": thread.wire_id[-6:]}, follow=True).content
        trash.put(workspace_id=tenant.workspace.pk, thread_ids=[thread.pk], now=timezone.now(), days=30)
        assert client.post(page, {"typed": "wrong"}).status_code == 200
        hold = holds.place(actor=tenant.actor, scope="workspace", reason="x", now=timezone.now())
        assert b"on legal hold" in client.post(page, {"typed": thread.wire_id[-6:]}, follow=True).content
        holds.release(actor=tenant.actor, hold=hold, now=timezone.now())
        client.post(page, {"typed": thread.wire_id[-6:]})
        assert not Thread.objects.exists()
        stone = Tombstone.objects.get()
        assert (stone.reason, stone.purged_by) == ("command", f"user:{olivia.pk}")
        assert thread.wire_id in text_of(client, "/admin/threads/tombstone/")
        assert thread.wire_id in text_of(client, f"/admin/threads/tombstone/?q={thread.wire_id}")
        assert "By hand" in text_of(client, f"/admin/threads/tombstone/{thread.wire_id}/change/")


class TestArchive:
    def test_an_archived_thread_reads_as_before(self, console: Client, everything: Everything, tenant: Tenant) -> None:
        type(everything.run).objects.update(status="succeeded", finished_at=timezone.now())
        page = f"/admin/threads/thread/{everything.thread.wire_id}/"
        before = parts_of(console, page)
        assert len(before) > 5
        console.post(f"{page}do/archive/")
        assert not Message.objects.exists()
        assert parts_of(console, page) == before
        file = re.search(rf"{page}files/\w+", console.get(f"{page}change/").content.decode())
        assert file is not None
        assert console.get(file[0]).content.startswith(b"\x89PNG")
        console.post(f"{page}do/unarchive/")
        assert Message.objects.exists()
        assert parts_of(console, page) == before

    def test_windows_of_a_long_one_are_those_of_before(self, console: Client, tenant: Tenant) -> None:
        thread = old_thread(tenant, messages=120)
        page = f"/admin/threads/thread/{thread.wire_id}/"
        before = {query: parts_of(console, page, query) for query in ("", "?before=71", "?after=30", "?after=500")}
        acts.archive(actor=tenant.actor, thread=thread, now=timezone.now())
        assert {query: parts_of(console, page, query) for query in before} == before

    def test_one_in_the_trash_is_read_from_its_bundle_too(self, console: Client, tenant: Tenant) -> None:
        thread = old_thread(tenant)
        acts.archive(actor=tenant.actor, thread=thread, now=timezone.now())
        trash.put(workspace_id=tenant.workspace.pk, thread_ids=[thread.pk], now=timezone.now(), days=30)
        assert len(parts_of(console, f"/admin/threads/thread/{thread.wire_id}/")) == 3

    def test_a_lost_bundle_is_said_and_is_no_500(
        self,
        console: Client,
        tenant: Tenant,
        archive_directory: str,  # noqa: F811
    ) -> None:
        import shutil

        thread = old_thread(tenant)
        acts.archive(actor=tenant.actor, thread=thread, now=timezone.now())
        bundle = Bundle.objects.get()
        shutil.rmtree(f"{archive_directory}/{bundle.path}")
        assert "is damaged" in text_of(console, f"/admin/threads/thread/{thread.wire_id}/change/")
        console.post(f"/admin/threads/bundle/{bundle.wire_id}/do/verify/")
        jobs.do_waiting()
        job = RetentionJob.objects.get()
        assert (job.status, job.ended) == ("failed", "faults")
        assert "is damaged" in text_of(console, f"/admin/threads/retentionjob/{job.wire_id}/change/")
        console.post(f"/admin/threads/bundle/{bundle.wire_id}/do/restore/")
        jobs.do_waiting()
        assert RetentionJob.objects.latest("created_at").ended == "faults"
        assert Thread.objects.get().state == "archived"

    def test_a_bundle_is_verified_and_restored(self, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant, title="First"), old_thread(tenant, title="Second")
        policy(tenant, action="archive")
        client = signed_in(olivia)
        client.post(apply_page(tenant), plan_of(client, tenant))
        jobs.do_waiting()
        bundle = Bundle.objects.get()
        page = f"/admin/threads/bundle/{bundle.wire_id}/"
        assert "Second" in text_of(client, f"{page}change/")
        client.post(f"{page}do/verify/")
        jobs.do_waiting()
        assert RetentionJob.objects.latest("created_at").ended == "done"
        client.post(f"{page}do/restore/")
        jobs.do_waiting()
        done = RetentionJob.objects.latest("created_at")
        assert (done.ended, done.done) == ("done", 2)
        assert Thread.objects.filter(state="active").count() == 2
        assert not BundledThread.objects.exists()
        assert "Emptied" in text_of(client, "/admin/threads/bundle/")
        assert client.post(f"{page}do/verify/").status_code == 302
        assert RetentionJob.objects.count() == 3


def parts_of(client: Client, page: str, query: str = "") -> list[str]:
    """The messages, runs and summaries of a transcript, as texts."""
    html = client.get(f"{page}change/{query}").content.decode()
    transcript = html[html.index('class="th-transcript"') : html.index("</main>")]
    parts = re.split(r'<article|<div class="th-run|<details class="th-summary', transcript)[1:]
    return [" ".join(re.sub(r"<[^>]+>", " ", part.partition(">")[2]).split()) for part in parts]


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


def test_a_day_that_is_over_is_followed_by_the_next_night(tenant: Tenant) -> None:
    from datetime import UTC, datetime

    from threads.lifecycle import nightly

    for zone in ("UTC", "Europe/Rome", "Pacific/Apia", "America/St_Johns"):
        now = datetime(2026, 3, 28, 12, tzinfo=UTC)
        for _ in range(96):
            following = nightly.next_night(now=now, zone=zone)
            assert now < following <= now + timedelta(hours=25)
            assert nightly.start_of_night(now=following, zone=zone) == following
            now += timedelta(minutes=30)
