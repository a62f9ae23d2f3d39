"""Plans of workspaces that are too large to count while somebody waits: the worker counts, the page shows how far it
is, and what was counted is shown, confirmed and applied."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import signed_in
from tests.console.retention import POLICIES, SYSTEM, apply_page, plan_of, text_of
from tests.lifecycle.conftest import archive_directory, old_thread, policy  # noqa: F401  fixture
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.models import User
from threads.lifecycle import candidates, counting, jobs, policies, system_counting, system_policies
from threads.lifecycle import plan as plans
from threads.models import RetentionJob, RetentionPolicy, SystemCount, SystemPolicy, Thread


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "AT_ONCE", 1)


@pytest.fixture
def client(olivia: User) -> Client:
    return signed_in(olivia)


@pytest.fixture
def due(tenant: Tenant) -> list[Thread]:
    threads = [old_thread(tenant) for _ in range(3)]
    policy(tenant, action="archive")
    return threads


def test_the_page_opens_at_once_and_the_worker_counts(client: Client, tenant: Tenant, due: list[Thread]) -> None:
    with CaptureQueriesContext(connection) as asked:
        shown = client.get(apply_page(tenant)).content.decode()
    job = RetentionJob.objects.get()
    progress = f"/admin/threads/retentionjob/{job.wire_id}/progress/"
    assert f'data-th-progress="{progress}"' in shown
    assert not any("threads_covered_by_hold" in (query["sql"] or "") for query in asked)
    assert client.get(progress).json() == {"status": "queued", "done": 0, "planned": 3, "ended": ""}
    assert "Counting what is due" in text_of(client, apply_page(tenant))
    assert RetentionJob.objects.count() == 1
    assert counting.do_waiting() == 1
    assert client.get(progress).json() == {"status": "done", "done": 3, "planned": 3, "ended": "done"}
    told = text_of(client, apply_page(tenant))
    assert "Do this to 3 of 3 threads now?" in told
    assert "Counted as of" in told
    assert counting.do_waiting() == 0


def test_what_was_counted_is_what_counting_at_once_finds(
    client: Client, tenant: Tenant, due: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    client.get(apply_page(tenant))
    counting.do_waiting()
    job = RetentionJob.objects.get()
    kept, made = counting.plan_of(job=job), jobs.plan(actor=tenant.actor, cutoff=job.cutoff)
    assert kept.as_json() == made.as_json()
    assert kept.shares == made.shares
    counted = text_of(client, apply_page(tenant))
    monkeypatch.setattr(counting, "AT_ONCE", 1_000)
    monkeypatch.setattr(candidates, "database_now", lambda: job.cutoff)
    at_once = text_of(client, apply_page(tenant))
    assert re.sub(r"Counted as of .*? Count again ", "", counted) == at_once


def test_what_was_counted_is_confirmed_and_applied(client: Client, tenant: Tenant, due: list[Thread]) -> None:
    client.get(apply_page(tenant))
    counting.do_waiting()
    spoken_in = due[0]
    Thread.objects.filter(pk=spoken_in.pk).update(last_activity_at=timezone.now())
    client.post(apply_page(tenant), plan_of(client, tenant))
    job = RetentionJob.objects.get(kind="apply")
    assert (job.planned, job.plan["actions"]) == (3, {"archive": 3})
    jobs.do_waiting()
    states = dict(Thread.objects.values_list("pk", "state"))
    assert states == {each.pk: "active" if each == spoken_in else "archived" for each in due}


def test_more_than_was_counted_is_never_done(client: Client, tenant: Tenant, due: list[Thread]) -> None:
    client.get(apply_page(tenant))
    counting.do_waiting()
    seen = plan_of(client, tenant)
    old_thread(tenant)
    client.post(apply_page(tenant), seen)
    jobs.do_waiting()
    assert RetentionJob.objects.get(kind="apply").ended == "changed"
    assert not Thread.objects.filter(state="archived").exists()


def test_other_policies_make_another_count(client: Client, tenant: Tenant, due: list[Thread]) -> None:
    client.get(apply_page(tenant))
    counting.do_waiting()
    seen = plan_of(client, tenant)
    policy(tenant, action="trash", days=80)
    answer = client.post(apply_page(tenant), seen, follow=True)
    assert "other policies are in force since" in answer.content.decode()
    assert not RetentionJob.objects.filter(kind="apply").exists()
    assert "Counting what is due" in text_of(client, apply_page(tenant))


def test_an_old_count_is_made_again(client: Client, tenant: Tenant, due: list[Thread]) -> None:
    client.get(apply_page(tenant))
    counting.do_waiting()
    seen = plan_of(client, tenant)
    RetentionJob.objects.update(cutoff=timezone.now() - timedelta(hours=2))
    assert b"This count is too old" in client.post(apply_page(tenant), seen, follow=True).content
    assert RetentionJob.objects.filter(kind="count").count() == 2


def test_it_is_counted_again_when_somebody_asks(client: Client, tenant: Tenant, due: list[Thread]) -> None:
    client.get(apply_page(tenant))
    counting.do_waiting()
    old_thread(tenant)
    assert client.post(apply_page(tenant), {"again": "1"})["Location"] == apply_page(tenant)
    assert client.post(apply_page(tenant), {"again": "1"}).status_code == 302
    assert RetentionJob.objects.filter(kind="count").count() == 2
    counting.do_waiting()
    assert "Do this to 4 of 4 threads now?" in text_of(client, apply_page(tenant))


def test_a_count_is_stopped_and_stays_so_until_somebody_asks(client: Client, tenant: Tenant, due: list[Thread]) -> None:
    client.get(apply_page(tenant))
    job = RetentionJob.objects.get()
    client.post(f"/admin/threads/retentionjob/{job.wire_id}/do/stop/")
    counting.do_waiting()
    told = text_of(client, apply_page(tenant))
    assert "It was not counted what is due" in told
    assert "Count again" in told
    assert RetentionJob.objects.count() == 1


def test_a_count_that_a_worker_left_is_made_by_another(
    client: Client, tenant: Tenant, due: list[Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(**asked: Any) -> None:
        asked["progress"](2)
        raise SystemExit

    client.get(apply_page(tenant))
    with monkeypatch.context() as dying:
        dying.setattr(plans, "make", dies)
        with pytest.raises(SystemExit):
            counting.do_waiting()
    assert (RetentionJob.objects.get().status, RetentionJob.objects.get().done) == ("running", 2)
    assert counting.do_waiting() == 1
    assert RetentionJob.objects.get().ended == "done"


def test_counting_waits_for_no_other_job_and_none_for_it(client: Client, tenant: Tenant, due: list[Thread]) -> None:
    client.get(apply_page(tenant))
    plan = jobs.plan(actor=tenant.actor, cutoff=candidates.database_now())
    job = jobs.apply_policies(
        actor=tenant.actor, cutoff=plan.cutoff, plan_hash=plan.hash, now=timezone.now(), over_brake=True
    )
    assert jobs.do_waiting() == 1
    job.refresh_from_db()
    assert job.ended == "done"
    assert RetentionJob.objects.get(kind="count").status == "queued"


class TestPreviews:
    def test_a_policy_is_previewed_by_the_worker_and_then_enabled(self, client: Client, tenant: Tenant) -> None:
        for _ in range(3):
            old_thread(tenant)
        made = policies.create(actor=tenant.actor, now=timezone.now(), action="archive", days=30)
        page = f"{POLICIES}{made.wire_id}/preview/"
        assert "Counting what is due" in text_of(client, page)
        assert RetentionPolicy.objects.get().previewed_at is None
        counting.do_waiting()
        told = text_of(client, page)
        assert "3 threads" in told
        assert "Counted as of" in told
        found = RetentionPolicy.objects.get()
        assert found.previewed_count == 3
        assert policies.enable(actor=tenant.actor, policy=found, now=timezone.now()).enabled

    def test_other_terms_make_another_count(self, client: Client, tenant: Tenant) -> None:
        for _ in range(3):
            old_thread(tenant)
        made = policies.create(actor=tenant.actor, now=timezone.now(), action="archive", days=30)
        page = f"{POLICIES}{made.wire_id}/preview/"
        client.get(page)
        counting.do_waiting()
        client.get(page)
        policies.change(actor=tenant.actor, policy=made, now=timezone.now(), days=31)
        assert "Counting what is due" in text_of(client, page)


class TestPreviewsOfTheSystems:
    @pytest.fixture
    def made(self, tenant: Tenant, other_tenant: Tenant) -> SystemPolicy:
        for one in (tenant, tenant, other_tenant):
            old_thread(one)
        return system_policies.create(actor=tenant.actor, now=timezone.now(), action="archive", days=30)

    @pytest.fixture
    def page(self, made: SystemPolicy) -> str:
        return f"{SYSTEM}{made.wire_id}/preview/"

    def test_it_is_counted_by_the_worker_and_then_enabled(self, console: Client, made: SystemPolicy, page: str) -> None:
        with CaptureQueriesContext(connection) as asked:
            assert "Counting what is due" in text_of(console, page)
        assert not any("threads_covered_by_hold" in (query["sql"] or "") for query in asked)
        progress = f"{SYSTEM}{made.wire_id}/progress/"
        assert f'data-th-progress="{progress}"' in console.get(page).content.decode()
        assert console.get(progress).json() == {"status": "queued", "done": 0, "planned": 3, "ended": ""}
        made.refresh_from_db()
        assert made.previewed_at is None
        assert system_counting.do_waiting() == 1
        assert console.get(progress).json() == {"status": "done", "done": 3, "planned": 3, "ended": "done"}
        told = text_of(console, page)
        assert "3 threads" in told
        assert "Counted as of" in told
        made.refresh_from_db()
        assert made.previewed_count == 3
        console.post(f"{SYSTEM}{made.wire_id}/do/enable/")
        made.refresh_from_db()
        assert made.enabled
        assert "Counted as of" in text_of(console, page)  # it is still what was counted
        assert SystemCount.objects.count() == 1

    def test_it_is_what_counting_at_once_finds(
        self, console: Client, page: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text_of(console, page)
        system_counting.do_waiting()
        job = SystemCount.objects.get()
        counted = text_of(console, page)
        monkeypatch.setattr(counting, "AT_ONCE", 1_000)
        monkeypatch.setattr(candidates, "database_now", lambda: job.cutoff)
        at_once = text_of(console, page)
        assert re.sub(r"Counted as of .*? Count again ", "", counted) == at_once

    def test_many_workspaces_are_counted_by_the_worker_too(
        self, console: Client, page: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(counting, "AT_ONCE", 1_000)
        assert "Counting what is due" not in text_of(console, page)
        monkeypatch.setattr(system_counting, "WORKSPACES", 1)
        assert "Counting what is due" in text_of(console, page)

    def test_other_rules_make_another_count(
        self, console: Client, tenant: Tenant, made: SystemPolicy, page: str
    ) -> None:
        text_of(console, page)
        system_counting.do_waiting()
        assert "Counted as of" in text_of(console, page)
        policies.create(actor=tenant.actor, now=timezone.now(), action="archive", days=5)  # it is not in force
        assert "Counted as of" in text_of(console, page)
        policy(tenant, action="retain", days=900)
        assert "Counting what is due" in text_of(console, page)
        system_counting.do_waiting()
        system_policies.change(actor=tenant.actor, policy=made, now=timezone.now(), days=31)
        assert "Counting what is due" in text_of(console, page)

    def test_an_old_count_is_made_again_and_one_is_kept(self, console: Client, page: str) -> None:
        text_of(console, page)
        system_counting.do_waiting()
        SystemCount.objects.update(cutoff=timezone.now() - timedelta(hours=2))
        assert "Counting what is due" in text_of(console, page)
        system_counting.do_waiting()
        assert console.post(page, {"again": "1"})["Location"] == page
        assert console.post(page, {"again": "1"}).status_code == 302
        assert SystemCount.objects.get().live

    def test_it_is_stopped_and_stays_so_until_somebody_asks(self, console: Client, page: str) -> None:
        assert "Stop counting" in text_of(console, page)
        console.post(page, {"stop": "1"})
        assert "It ends after the threads in hand" in text_of(console, page)
        system_counting.do_waiting()
        told = text_of(console, page)
        assert "It was not counted what is due" in told
        assert "Count again" in told
        assert SystemCount.objects.get().ended == "stopped"
        assert AuditEvent.objects.filter(action="system_count.stop").count() == 1

    def test_what_a_worker_left_is_made_by_another(
        self, console: Client, page: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def dies(**asked: Any) -> None:
            asked["progress"](1)
            raise SystemExit

        text_of(console, page)
        with monkeypatch.context() as dying:
            dying.setattr(plans, "make", dies)
            with pytest.raises(SystemExit):
                system_counting.do_waiting()
        assert (SystemCount.objects.get().status, SystemCount.objects.get().done) == ("running", 1)
        assert system_counting.do_waiting() == 1
        assert SystemCount.objects.get().ended == "done"

    def test_counting_ends_with_the_policy(
        self, console: Client, made: SystemPolicy, page: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []

        def removes(**asked_for: Any) -> None:
            asked.append(asked_for)
            made.delete()
            asked_for["progress"](1)

        text_of(console, page)
        monkeypatch.setattr(plans, "make", removes)
        assert system_counting.do_waiting() == 1
        assert (len(asked), SystemCount.objects.count()) == (1, 0)

    def test_nobody_else_sees_its_progress(self, console: Client, client: Client, page: str) -> None:
        text_of(console, page)
        progress = page.replace("/preview/", "/progress/")
        assert client.get(progress).status_code in (403, 404)
        assert client.get(page).status_code in (403, 404)
        SystemCount.objects.all().delete()
        assert console.get(progress).status_code == 404


def test_a_workspaces_count_is_stopped_from_the_page_that_waits_for_it(
    client: Client, tenant: Tenant, due: list[Thread]
) -> None:
    assert "Stop counting" in text_of(client, apply_page(tenant))
    client.post(apply_page(tenant), {"stop": "1"})
    counting.do_waiting()
    assert RetentionJob.objects.get().ended == "stopped"


def test_stopping_what_does_not_go_on_makes_no_count(client: Client, tenant: Tenant) -> None:
    client.post(apply_page(tenant), {"stop": "1"})
    assert not RetentionJob.objects.exists()


def test_a_policys_count_is_stopped_likewise(client: Client, tenant: Tenant) -> None:
    for _ in range(3):
        old_thread(tenant)
    made = policies.create(actor=tenant.actor, now=timezone.now(), action="archive", days=30)
    page = f"{POLICIES}{made.wire_id}/preview/"
    assert "Stop counting" in text_of(client, page)
    client.post(page, {"stop": "1"})
    assert RetentionJob.objects.get().stop_asked


def test_each_row_of_a_plan_says_between_when_and_how_large(client: Client, tenant: Tenant, due: list[Thread]) -> None:
    client.get(apply_page(tenant))
    counting.do_waiting()
    told = text_of(client, apply_page(tenant))
    row = r"3 (\d{4}-\d\d-\d\d \d\d:\d\d UTC) (\d{4}-\d\d-\d\d \d\d:\d\d UTC) [1-9]\d* bytes"
    for name in ("Archived", "Echo", "Threads are archived 90 days after their last message."):
        assert re.search(f"{re.escape(name)} {row}", told), name
    assert "Bytes are those of messages' text and of files" in told.replace("&#x27;", "'")


def test_what_an_older_version_counted_is_shown_without(client: Client, tenant: Tenant, due: list[Thread]) -> None:
    client.get(apply_page(tenant))
    counting.do_waiting()
    job = RetentionJob.objects.get()
    for part in (job.plan, *job.plan["shares"].values()):
        del part["action_extents"], part["agent_extents"]
    job.save(update_fields=["plan"])
    told = text_of(client, apply_page(tenant))
    assert "Archived 3 not counted" in told
    assert "Echo 3 not counted" in told
    assert "Do this to 3 of 3 threads now?" in told
