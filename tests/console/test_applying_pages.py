"""Plans that are confirmed in the staff console, and what the worker then does."""

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import signed_in
from tests.console.retention import POLICIES, actions_of, apply_page, plan_of, text_of
from tests.lifecycle.conftest import archive_directory, old_thread, policy  # noqa: F401  fixture
from threadhub.workspaces.models import User
from threads.lifecycle import jobs, system_policies
from threads.models import (
    Message,
    RetentionJob,
    RetentionPolicy,
    Sweep,
    SystemPolicy,
    Thread,
)  # fmt: skip


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

    def test_a_policy_that_cannot_be_read_is_named_before_and_after(self, olivia: User, tenant: Tenant) -> None:
        old_thread(tenant, external_ref="old/1")
        own = policy(tenant, action="archive")
        wrong = system_policies.create(
            actor=tenant.actor, now=timezone.now(), action="purge", days=30, name="Frozen", external_ref_prefix="new/"
        )
        client, said = signed_in(olivia), "This release cannot read this policy"
        assert said not in text_of(client, apply_page(tenant))
        SystemPolicy.objects.filter(pk=wrong.pk).update(action="freeze", enabled=True)
        named = f"{said}, so nothing happens to the threads that it is about: Frozen"
        assert named in text_of(client, apply_page(tenant))
        assert named in text_of(client, f"{POLICIES}{own.wire_id}/preview/")
        client.post(apply_page(tenant), plan_of(client, tenant))
        jobs.do_waiting()
        job, sweep = RetentionJob.objects.get(), Sweep.objects.get()
        for page in (f"retentionjob/{job.wire_id}", f"sweep/{sweep.wire_id}"):
            assert wrong.wire_id in text_of(client, f"/admin/threads/{page}/change/")

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
