"""Counting what is due in a workspace that is too large to count while somebody waits for a page.

The worker counts, a page of threads at a time, and notes how far it is; what it found is kept in the job, for an hour,
as long as the same rules are in force.
"""

import hashlib
from datetime import datetime
from threading import Event
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet, Sum

from threadhub import audit
from threadhub.lib.errors import NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import tasks
from threads.lifecycle import candidates, counted_work, jobs, kept_plan, policies, rules
from threads.lifecycle import plan as plans
from threads.lifecycle.candidates import Selection
from threads.lifecycle.counted_work import CannotCount, Progress
from threads.lifecycle.plan import Plan
from threads.lifecycle.resolver import Rule
from threads.models import RetentionJob, RetentionPolicy, ThreadCount

AT_ONCE = 4_000  # threads of a workspace, so many are counted while somebody waits


class CountGone(NotFound):
    """This count is too old, or other policies are in force since. Count again."""

    code = "count_gone"


def is_small(*, workspace_id: UUID) -> bool:
    """Whether what is due there is counted at once."""
    return _threads(workspace_id) <= AT_ONCE


def latest(*, actor: Actor, now: datetime, policy: RetentionPolicy | None = None) -> RetentionJob:
    """The count of the workspace that goes on, or was made lately with the rules of now, or came to nothing lately;
    else a new one. `policy`: as if it were in force and its grace over."""
    actor.require(Permission.RETENTION_READ)
    job = _jobs(actor.workspace_id, policy).first()
    if job is not None and (job.live or _is_good(job, policy, now) or counted_work.has_failed(job, now)):
        return job
    return ask(actor=actor, now=now, policy=policy)


def ask(*, actor: Actor, now: datetime, policy: RetentionPolicy | None = None) -> RetentionJob:
    """Have the worker count; where it does already, that one."""
    actor.require(Permission.RETENTION_READ)
    try:
        with transaction.atomic():
            job = RetentionJob.objects.create(
                workspace_id=actor.workspace_id,
                kind=RetentionJob.Kind.COUNT,
                policy_id=policy.pk if policy else None,
                cutoff=candidates.database_now(),
                planned=_threads(actor.workspace_id),
                asked_by=actor.identity,
                created_at=now,
            )
            audit.record(actor=actor, action="retention_job.create", ids=[job.wire_id], details={"kind": job.kind})
            tasks.count_retention.defer()
    except IntegrityError:
        found = _jobs(actor.workspace_id, policy).filter(status__in=RetentionJob.LIVE).first()
        return found or ask(actor=actor, now=now, policy=policy)  # that one has ended just now
    return job


def stop(*, actor: Actor, now: datetime, policy: RetentionPolicy | None = None) -> None:
    """End the workspace's count; where none goes on, nothing is done."""
    actor.require(Permission.RETENTION_WRITE)
    job = _jobs(actor.workspace_id, policy).filter(status__in=RetentionJob.LIVE).first()
    if job is not None:
        jobs.stop(actor=actor, job=job, now=now)


def counted(*, actor: Actor, job_id: UUID, now: datetime) -> RetentionJob:
    """What was counted for applying the policies, and is good still. Raises CountGone."""
    job = _jobs(actor.workspace_id, None).filter(pk=job_id).first()
    if job is None or not _is_good(job, None, now):
        raise CountGone
    return job


def plan_of(*, job: RetentionJob) -> Plan:
    """The plan that a count found."""
    return kept_plan.recall(workspace_id=job.workspace_id, cutoff=job.cutoff, kept=job.plan)


def do_waiting(*, stop: Event | None = None) -> int:
    """Make every count that was asked for and that nobody has in hand; returns how many. For the worker."""
    waiting = RetentionJob.objects.filter(kind=RetentionJob.Kind.COUNT, status__in=RetentionJob.LIVE)
    return counted_work.do_each(waiting, count=_count, stop=stop)


def _count(job: RetentionJob, progress: Progress) -> dict[str, Any]:
    policy = RetentionPolicy.objects.filter(pk=job.policy_id).first() if job.policy_id else None
    if job.policy_id and policy is None:
        raise CannotCount("The policy is gone.")
    in_force = _rules(job.workspace_id, policy, job.cutoff)
    selection = Selection(workspace_id=job.workspace_id)
    made = plans.make(selection=selection, cutoff=job.cutoff, only=in_force, progress=progress)
    return {**kept_plan.keep(made), "rules": _spelled(in_force, job.workspace_id)}


def _threads(workspace_id: UUID) -> int:
    """How many there are, by the counters."""
    own = ThreadCount.objects.filter(workspace_id=workspace_id, subject=workspace_id)
    return own.aggregate(threads=Sum("number"))["threads"] or 0


def _jobs(workspace_id: UUID, policy: RetentionPolicy | None) -> QuerySet[RetentionJob]:
    return RetentionJob.objects.filter(
        workspace_id=workspace_id, kind=RetentionJob.Kind.COUNT, policy_id=policy.pk if policy else None
    ).order_by("-created_at", "-id")


def _is_good(job: RetentionJob, policy: RetentionPolicy | None, now: datetime) -> bool:
    """Whether it was counted lately, and to its end, with the rules of now."""
    if not counted_work.is_whole(job, now):
        return False
    kept: str = job.plan["rules"]
    return kept == _spelled(_rules(job.workspace_id, policy, now), job.workspace_id)


def _rules(workspace_id: UUID, policy: RetentionPolicy | None, now: datetime) -> list[Rule]:
    if policy is None:
        return rules.in_force(workspace_id=workspace_id, now=now)
    return policies.as_if_enabled(policy=policy, now=now)


def _spelled(in_force: list[Rule], workspace_id: UUID) -> str:
    """Rules and the trash's time, in short: others are another text."""
    told = [*sorted(map(repr, in_force)), str(rules.settings_of(workspace_id).trash_days)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
