"""What people ask of the worker: apply the policies as they saw the plan, restore a bundle, verify one.

The row decides, not the queue's job: whichever worker holds the sweep's lock does what is waiting, and goes on with
what another left half-way when it died. A long job is done in parts, so that others have their turn between them.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from threading import Event
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from threadhub import audit
from threadhub.lib.errors import Conflict, DomainError, NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import tasks
from threads.lifecycle import apply, by_hand, candidates, failures, rules, sweeper
from threads.lifecycle import plan as plans
from threads.lifecycle.batches import Bounds
from threads.lifecycle.bundles import audit_trail
from threads.lifecycle.candidates import Selection
from threads.lifecycle.plan import Plan
from threads.models import Bundle, RetentionJob

logger = logging.getLogger(__name__)

PART_SECONDS = 300.0
AGAIN = ("time", "limit")  # a part that ended so is followed by another


class PlanChanged(Conflict):
    """What is due is no longer what you looked at; nothing was done. Look at the plan again."""

    code = "plan_changed"


class OverBrake(Conflict):
    """More of the workspace would go than its brake allows."""

    code = "over_brake"


class JobWaiting(Conflict):
    """Another job of this workspace is waiting or going on."""

    code = "retention_job_waiting"


class BundleGone(NotFound):
    """Nothing is in this bundle any more."""

    code = "bundle_gone"


def plan(*, actor: Actor, cutoff: datetime) -> Plan:
    """What applying the workspace's policies would do, as of `cutoff`."""
    actor.require(Permission.RETENTION_READ)
    return plans.make(selection=Selection(workspace_id=actor.workspace_id), cutoff=cutoff)


def is_braked(*, plan: Plan) -> bool:
    """Whether the workspace's brake would stop it."""
    return plans.braked(plan, rules.settings_of(plan.workspace_id))


def apply_policies(
    *,
    actor: Actor,
    cutoff: datetime,
    plan_hash: str,
    now: datetime,
    over_brake: bool = False,
    counted: Plan | None = None,
) -> RetentionJob:
    """Have the worker do what the plan of `cutoff` with this hash says. `counted`: that plan, where a job counted it
    (counting.py); the worker counts again before it begins. Raises PlanChanged, OverBrake, JobWaiting."""
    actor.require(Permission.RETENTION_WRITE)
    made = counted or plan(actor=actor, cutoff=cutoff)
    if made.hash != plan_hash:
        raise PlanChanged
    if not over_brake and is_braked(plan=made):
        raise OverBrake
    return _ask(
        actor=actor,
        now=now,
        kind=RetentionJob.Kind.APPLY,
        cutoff=cutoff,
        plan=made.as_json(),
        planned=made.total,
        over_brake=over_brake,
    )


def restore_bundle(*, actor: Actor, bundle: Bundle, now: datetime) -> RetentionJob:
    """Have the worker make every thread of a bundle active again. Raises BundleGone, JobWaiting."""
    actor.require(Permission.THREAD_ARCHIVE)
    return _about_bundle(actor, bundle, now, RetentionJob.Kind.RESTORE)


def verify_bundle(*, actor: Actor, bundle: Bundle, now: datetime) -> RetentionJob:
    """Have the worker read all of a bundle again. Raises BundleGone, JobWaiting."""
    actor.require(Permission.RETENTION_READ)
    return _about_bundle(actor, bundle, now, RetentionJob.Kind.VERIFY)


def stop(*, actor: Actor, job: RetentionJob, now: datetime) -> None:
    """End a job after the batch in hand; one that has ended stays as it is."""
    actor.require(Permission.RETENTION_WRITE)
    live = RetentionJob.objects.filter(pk=job.pk, workspace_id=actor.workspace_id, status__in=RetentionJob.LIVE)
    with transaction.atomic():
        if live.update(stop_asked=True):
            audit.record(actor=actor, action="retention_job.stop", ids=[job.wire_id])


def do_waiting(*, stop: Event | None = None) -> int:
    """Do a part of every job that waits; returns how many jobs. For the worker. `stop` ends it after a batch."""
    stop = stop or Event()
    count = 0
    try:
        with sweeper.alone():
            for job in list(RetentionJob.changing().order_by("created_at", "id")):
                if stop.is_set():
                    break
                _do(job, stop)
                count += 1
    except sweeper.SweepRunning:
        logger.info("another sweep is running")
    return count


def _about_bundle(actor: Actor, bundle: Bundle, now: datetime, kind: str) -> RetentionJob:
    if bundle.removed_at is not None:
        raise BundleGone
    return _ask(actor=actor, now=now, kind=kind, bundle_id=bundle.pk, cutoff=now, planned=bundle.thread_count)


@transaction.atomic
def _ask(*, actor: Actor, now: datetime, kind: str, bundle_id: UUID | None = None, **fields: Any) -> RetentionJob:
    try:
        with transaction.atomic():
            job = RetentionJob.objects.create(
                workspace_id=actor.workspace_id,
                kind=kind,
                bundle_id=bundle_id,
                asked_by=actor.identity,
                created_at=now,
                **fields,
            )
    except IntegrityError as error:
        raise JobWaiting from error
    details = {"kind": kind, "threads": job.planned, "plan": job.plan.get("hash"), "over_brake": job.over_brake}
    audit.record(actor=actor, action="retention_job.create", ids=[job.wire_id], details=details)
    tasks.do_retention_jobs.defer()
    return job


def _do(job: RetentionJob, stop: Event) -> None:
    """One part of a job. The sweep's lock is held, so nobody else has it in hand."""
    RetentionJob.objects.filter(pk=job.pk, started_at__isnull=True).update(started_at=candidates.database_now())
    RetentionJob.objects.filter(pk=job.pk).update(status=RetentionJob.Status.RUNNING)
    part = Event()
    before = job.done

    def note(done: int) -> None:
        RetentionJob.objects.filter(pk=job.pk).update(done=before + done)
        if stop.is_set() or RetentionJob.objects.filter(pk=job.pk, stop_asked=True).exists():
            part.set()

    note(0)
    bounds = Bounds(max_seconds=PART_SECONDS, stop=part)
    try:
        ended, report = WORK[job.kind](job, bounds, note)
    except sweeper.SweepRunning:
        raise
    except Exception as error:  # whatever it is, it must not keep the others from theirs
        if not connection.is_usable():
            raise
        if not isinstance(error, OSError | DomainError):
            logger.exception("retention job %s failed", job.wire_id)
        _end(job, ended="failed", error=failures.sentence(error), report=None)
        return
    stopped = RetentionJob.objects.filter(pk=job.pk, stop_asked=True).exists()
    if ended in AGAIN or (ended == "stopped" and not stopped):
        _keep(job, report)
    else:
        _end(job, ended=ended, error="", report=report)


def _apply(job: RetentionJob, bounds: Bounds, note: Callable[[int], None]) -> tuple[str, dict[str, Any]]:
    """The policies, as of the plan's moment: what came due since waits for the next sweep."""
    selection = Selection(workspace_id=job.workspace_id)
    if not job.reports and _grew(plans.make(selection=selection, cutoff=job.cutoff, sizes=False), job.plan):
        return "changed", {}
    bounds.limit = max(0, job.planned - job.done)
    # Whether it is too much was asked when it was confirmed.
    outcome = apply.apply(selection=selection, cutoff=job.cutoff, bounds=bounds, brake=False, progress=note)
    RetentionJob.objects.filter(pk=job.pk).update(done=job.done + outcome.taken)
    finished = outcome.ended == "limit" and job.done + outcome.taken >= job.planned
    ended = "done" if finished else outcome.ended
    return ("faults" if ended == "done" and outcome.failed else ended), outcome.as_json()


def _restore(job: RetentionJob, bounds: Bounds, note: Callable[[int], None]) -> tuple[str, dict[str, Any]]:
    bundle = _bundle(job)
    selection = Selection(workspace_id=job.workspace_id, bundle_id=bundle.pk)
    done = by_hand.restore(
        selection=selection, now=job.cutoff, bounds=bounds, trashed=False, dry_run=False, progress=note
    )
    RetentionJob.objects.filter(pk=job.pk).update(done=job.done + done.threads)
    ended = "faults" if done.ended == "done" and done.faults else done.ended
    return ended, {**done.as_json(), "faults": done.faults}


def _verify(job: RetentionJob, bounds: Bounds, note: Callable[[int], None]) -> tuple[str, dict[str, Any]]:
    bundle = _bundle(job)
    if bundle.removed_at is not None:
        raise BundleGone
    found = audit_trail.Verified()
    audit_trail.verify_bundle(bundle=bundle, found=found)
    RetentionJob.objects.filter(pk=job.pk).update(done=found.threads)
    return ("faults" if found.faults else "done"), found.as_json()


WORK: dict[str, Callable[[RetentionJob, Bounds, Callable[[int], None]], tuple[str, dict[str, Any]]]] = {
    RetentionJob.Kind.APPLY: _apply,
    RetentionJob.Kind.RESTORE: _restore,
    RetentionJob.Kind.VERIFY: _verify,
}


def _bundle(job: RetentionJob) -> Bundle:
    found = Bundle.objects.filter(pk=job.bundle_id, workspace_id=job.workspace_id).first() if job.bundle_id else None
    if found is None:
        raise BundleGone
    return found


def _grew(plan: Plan, confirmed: dict[str, Any]) -> bool:
    """Whether more would be done than was confirmed. Less is well: a thread that was spoken in meanwhile stays."""
    return any(count > confirmed["actions"].get(action, 0) for action, count in plan.actions.items())


def _keep(job: RetentionJob, report: dict[str, Any]) -> None:
    RetentionJob.objects.filter(pk=job.pk).update(reports=[*job.reports, report])


def _end(job: RetentionJob, *, ended: str, error: str, report: dict[str, Any] | None) -> None:
    failed = ended in ("failed", "faults", "changed")
    RetentionJob.objects.filter(pk=job.pk).update(
        status=RetentionJob.Status.FAILED if failed else RetentionJob.Status.DONE,
        ended=ended,
        error=error,
        reports=[*job.reports, report] if report else job.reports,
        finished_at=candidates.database_now(),
    )
