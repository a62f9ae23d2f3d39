"""What goes wrong in one place keeps no retention from happening elsewhere, nor for ever: a damaged bundle, a
workspace that fails, a sweep that is cut into many."""

import threading
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from tests.conftest import Tenant
from tests.lifecycle.conftest import old_thread, policy, sweep
from tests.lifecycle.test_commands import code, run
from threads.lifecycle import apply, by_hand, candidates, counting, jobs, nightly, nights, sweeper
from threads.lifecycle.batches import Bounds
from threads.lifecycle.candidates import Selection
from threads.models import Bundle, RetentionJob, RetentionPolicy, RetentionSettings, Sweep, Thread, Tombstone

DAY = timedelta(days=1)


class TestDamagedBundles:
    """Threads of a bundle that cannot be read stay, all others go, and it is told."""

    @pytest.fixture
    def damaged(self, tenant: Tenant, archive_directory: str) -> Bundle:
        """Two bundles of two threads, of each one to be purged; the first lacks its end."""
        threads = [old_thread(tenant, external_ref=ref) for ref in ("go/1", "stay/1", "go/2", "stay/2")]
        for some in (threads[:2], threads[2:]):
            Thread.objects.exclude(pk__in=[each.pk for each in some]).update(pinned=True)
            archiving = policy(tenant, "archive", 1)
            assert sweep(tenant, brake=False).taken == 2
            RetentionPolicy.objects.filter(pk=archiving.pk).delete()
            Thread.objects.update(pinned=False)
        bundle = Bundle.objects.order_by("number").first()
        assert bundle is not None
        data = Path(archive_directory) / bundle.path / "threads.jsonl.zst"
        data.write_bytes(data.read_bytes()[:-20])
        old_thread(tenant, external_ref="go/3")
        return bundle

    def test_a_sweep_takes_the_others(self, tenant: Tenant, damaged: Bundle) -> None:
        policy(tenant, external_ref_prefix="go/")
        done = sweep(tenant, brake=False)
        assert (done.ended, done.taken, len(done.failed)) == ("done", 2, 1)
        assert damaged.path in done.failed[0]
        assert set(Thread.objects.values_list("external_ref", flat=True)) == {"go/1", "stay/1", "stay/2"}
        report = Sweep.objects.order_by("-number").values_list("report", flat=True).first()
        assert report["failed"] == done.failed

    def test_they_take_nobodys_place_under_a_limit(self, tenant: Tenant, damaged: Bundle) -> None:
        """The damaged one is the oldest: each sweep of one thread comes to it first."""
        policy(tenant, external_ref_prefix="go/")
        taken = [sweep(tenant, brake=False, limit=1) for _ in range(2)]
        assert [done.taken for done in taken] == [1, 1]
        assert set(Thread.objects.values_list("external_ref", flat=True)) == {"go/1", "stay/1", "stay/2"}
        assert taken[0].skips["bundle_damaged"] == 1

    def test_they_do_not_use_up_what_was_foreseen(self, tenant: Tenant, damaged: Bundle) -> None:
        made = policy(tenant, external_ref_prefix="go/")
        assert sweep(tenant).taken == 2
        made.refresh_from_db()
        assert made.foreseen == 1

    def test_the_command_says_so_and_goes_on(self, tenant: Tenant, other_tenant: Tenant, damaged: Bundle) -> None:
        for each in (tenant, other_tenant):
            policy(each, external_ref_prefix="go/")
        old_thread(other_tenant, external_ref="go/4")
        assert code("retention_apply", "--yes", "--no-brake") == 1
        assert set(Thread.objects.values_list("external_ref", flat=True)) == {"go/1", "stay/1", "stay/2"}

    def test_a_job_of_the_console_ends_with_what_failed(self, tenant: Tenant, damaged: Bundle) -> None:
        policy(tenant, external_ref_prefix="go/")
        cutoff = candidates.database_now()
        plan = jobs.plan(actor=tenant.actor, cutoff=cutoff)
        jobs.apply_policies(actor=tenant.actor, cutoff=cutoff, plan_hash=plan.hash, now=cutoff, over_brake=True)
        jobs.do_waiting()
        job = RetentionJob.objects.get()
        assert (job.status, job.ended, job.done) == ("failed", "faults", 2)
        assert damaged.path in job.reports[-1]["failed"][0]

    def test_the_trash_is_purged_of_the_others(self, tenant: Tenant, damaged: Bundle) -> None:
        RetentionSettings.objects.create(workspace=tenant.workspace, trash_days=1)
        trashing = policy(tenant, "trash", external_ref_prefix="go/")
        assert sweep(tenant, brake=False).taken == 3
        RetentionPolicy.objects.filter(pk=trashing.pk).delete()
        Thread.objects.filter(state="trashed").update(purge_after=timezone.now() - DAY)
        assert code("purge_trash", "--yes") == 1
        assert Thread.objects.filter(state="trashed").values_list("external_ref", flat=True)[0] == "go/1"
        report = Sweep.objects.filter(kind="trash").values_list("report", flat=True)[0]
        assert (report["taken"], report["skipped"]) == (2, {"bundle_damaged": 1})


def test_purging_the_trash_by_hand_names_the_policy_that_said_so(tenant: Tenant) -> None:
    RetentionSettings.objects.create(workspace=tenant.workspace, trash_days=1)
    trashing = policy(tenant, "trash")
    old_thread(tenant, external_ref="by policy")
    assert sweep(tenant, brake=False).taken == 1
    RetentionPolicy.objects.filter(pk=trashing.pk).delete()
    purging = policy(tenant, "purge", 1, counted_from="trashed")
    Thread.objects.update(trashed_at=timezone.now() - 2 * DAY, purge_after=timezone.now() + DAY)
    run("purge_trash", "--yes")
    assert list(Tombstone.objects.values_list("reason", "policy_id")) == [("policy", purging.pk)]


class TestOthers:
    """One workspace, or one job, that fails."""

    @pytest.fixture
    def both(self, tenant: Tenant, other_tenant: Tenant) -> tuple[Tenant, Tenant]:
        """The first to be swept, and the second; one thread is due in each."""
        found = sorted((tenant, other_tenant), key=lambda each: (each.workspace.created_at, each.workspace.pk))
        for each in found:
            policy(each)
            old_thread(each)
        return found[0], found[1]

    def test_an_unforeseen_error_is_reported_and_the_next_workspace_swept(
        self, both: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failing, other = both
        self.fail_for(failing, monkeypatch)
        assert nightly.sweep_all() == 1
        assert not Thread.objects.filter(workspace=other.workspace).exists()
        report = Sweep.objects.get(workspace=failing.workspace).report
        assert (report["ended"], report["taken"]) == ("failed", 0)
        assert "RuntimeError" in report["failed"][0]
        assert "secret" not in report["failed"][0]

    def test_a_failure_is_tried_again_and_reported_once(
        self, both: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failing, _ = both
        with monkeypatch.context() as patched:
            self.fail_for(failing, patched)
            nightly.sweep_all()
            nightly.sweep_all()
        assert Sweep.objects.filter(workspace=failing.workspace).count() == 1
        assert nightly.sweep_all() == 1
        assert Thread.objects.count() == 0

    def test_a_lost_connection_ends_the_round(
        self, both: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing could be reported, and no other workspace swept, by it."""

        def lost(**_: Any) -> None:
            raise OperationalError("the connection is lost")

        monkeypatch.setattr(apply, "apply", lost)
        with monkeypatch.context() as patched:
            patched.setattr(nightly.connection, "is_usable", lambda: False)
            with pytest.raises(OperationalError):
                nightly.sweep_all()
        with connection.cursor() as cursor:
            cursor.execute(sweeper.UNLOCK)  # which a lost connection would have let go

    def test_a_time_zone_that_nobody_knows_keeps_no_other_from_its_night(
        self, both: tuple[Tenant, Tenant], caplog: pytest.LogCaptureFixture
    ) -> None:
        failing, _ = both
        RetentionSettings.objects.create(workspace=failing.workspace, time_zone="Mars/Olympus")
        assert nightly.sweep_all() == 1
        assert set(Thread.objects.values_list("workspace", flat=True)) == {failing.workspace.pk}
        assert "Mars/Olympus" in caplog.text

    def test_a_job_that_fails_ends_and_the_next_is_done(
        self, both: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failing, other = both
        for each in both:
            cutoff = candidates.database_now()
            plan = jobs.plan(actor=each.actor, cutoff=cutoff)
            jobs.apply_policies(actor=each.actor, cutoff=cutoff, plan_hash=plan.hash, now=cutoff)
        self.fail_for(failing, monkeypatch)
        assert jobs.do_waiting() == 2
        told = dict(RetentionJob.objects.values_list("workspace", "status"))
        assert told == {failing.workspace.pk: "failed", other.workspace.pk: "done"}
        assert "RuntimeError" in RetentionJob.objects.get(status="failed").error

    def test_a_count_that_fails_ends_and_the_next_is_made(
        self, both: tuple[Tenant, Tenant], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for each in both:
            counting.ask(actor=each.actor, now=timezone.now())
        make = counting.plans.make

        def failing_first(*, selection: Selection, **more: Any) -> Any:
            if selection.workspace_id == both[0].workspace.pk:
                raise RuntimeError("secret")
            return make(selection=selection, **more)

        monkeypatch.setattr(counting.plans, "make", failing_first)
        assert counting.do_waiting() == 2
        ended = RetentionJob.objects.order_by("created_at").values_list("ended", flat=True)
        assert list(ended) == ["failed", "done"]

    @staticmethod
    def fail_for(tenant: Tenant, patched: pytest.MonkeyPatch) -> None:
        whole = apply.apply

        def failing(*, selection: Selection, **more: Any) -> Any:
            if selection.workspace_id == tenant.workspace.pk:
                raise RuntimeError("secret: what it was about")
            return whole(selection=selection, **more)

        patched.setattr(apply, "apply", failing)


class TestManyWorkspaces:
    def test_a_stop_begins_no_further_workspace(
        self, tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stop = threading.Event()
        for each in (tenant, other_tenant):
            policy(each)
            old_thread(each)
        whole = apply.apply

        def then_stop(**more: Any) -> Any:
            done = whole(**more)
            stop.set()
            return done

        monkeypatch.setattr(apply, "apply", then_stop)
        assert nightly.sweep_all(stop=stop) == 1
        assert Sweep.objects.count() == 1

    @pytest.mark.parametrize("command", ["retention_apply", "archive_threads", "purge_trash"])
    def test_max_seconds_are_of_the_whole_command(
        self, tenant: Tenant, other_tenant: Tenant, command: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Bounds, "over", property(lambda bounds: "time"))
        options = ["--older-than=1d"] if command == "archive_threads" else []
        assert len(run(command, "--yes", "--max-seconds=60", *options)) == 1

    def test_a_limit_of_a_dry_run_is_of_the_whole_command(self, tenant: Tenant, other_tenant: Tenant) -> None:
        for each in (tenant, other_tenant):
            policy(each)
            for _ in range(3):
                old_thread(each)
        told = [each["taken"] for each in run("retention_apply", "--dry-run", "--no-brake", "--limit=4")]
        done = [each["taken"] for each in run("retention_apply", "--yes", "--no-brake", "--limit=4")]
        assert told == done == [3, 1]

    def test_what_another_worker_swept_meanwhile_is_not_swept_again(
        self, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        policy(tenant)
        listed = list(nightly.due_workspaces(now=candidates.database_now()))
        nightly.sweep_all()
        monkeypatch.setattr(nightly, "due_workspaces", lambda now: iter(listed))
        nightly.sweep_all()
        assert Sweep.objects.count() == 1

    def test_others_that_wait_to_sweep_have_a_turn_between_two_workspaces(
        self, tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for each in (tenant, other_tenant):
            policy(each)
        opened: list[str] = []
        alone = nightly.sweeper.alone

        def noted() -> Any:
            opened.append("taken")
            return alone()

        monkeypatch.setattr(nightly.sweeper, "alone", noted)
        nightly.sweep_all()
        assert len(opened) == 3  # each workspace, and the archive's orphans


def test_the_night_is_the_workspaces_own(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    policy(tenant)
    old_thread(tenant)
    RetentionSettings.objects.create(workspace=tenant.workspace, time_zone="Asia/Tokyo")
    tokyo = ZoneInfo("Asia/Tokyo")
    day = (timezone.now() + 2 * DAY).astimezone(tokyo).replace(minute=0, second=0, microsecond=0)
    taken = []
    for there in (day.replace(hour=3) - DAY, day.replace(hour=2, minute=59), day.replace(hour=3)):
        moment = there.astimezone(UTC)
        monkeypatch.setattr(candidates, "database_now", lambda moment=moment: moment)
        assert nights.start(now=moment, zone="Asia/Tokyo").astimezone(tokyo).hour == 3
        taken.append(nightly.sweep_all())
        old_thread(tenant)
    assert taken == [1, 0, 2]


def test_dry_runs_say_what_bounds_would_leave(tenant: Tenant) -> None:
    for _ in range(14):
        old_thread(tenant, messages=1)
    policy(tenant)
    workspace = f"--workspace={tenant.workspace.wire_id}"
    (told,) = run("retention_apply", "--dry-run", "--limit=4", workspace)
    assert (told["due"], told["ended"], told["taken"]) == (14, "limit", 4)
    RetentionSettings.objects.create(workspace=tenant.workspace, daily_cap=3)
    (told,) = run("retention_apply", "--dry-run", "--limit=4", workspace)
    assert (told["ended"], told["taken"]) == ("cap", 3)
    RetentionPolicy.objects.update(previewed_count=0)
    (told,) = run("retention_apply", "--dry-run", workspace)
    assert (told["ended"], told["taken"]) == ("brake", 0)
    archiving = by_hand.archive(
        selection=Selection(workspace_id=tenant.workspace.pk),
        now=timezone.now(),
        bounds=Bounds(),
        dry_run=False,
        progress=lambda taken: None,
    )
    assert archiving.threads == 14
    (told,) = run("restore_threads", "--dry-run", "--limit=1", workspace)
    assert told["taken"] == 1
