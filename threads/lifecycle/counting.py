"""Counting what is due in a workspace that is too large to count while somebody waits for a page.

The worker counts, a page of threads at a time, and notes how far it is; what it found is kept in the job, for an hour,
as long as the same rules are in force. It changes nothing, so it takes no part in the sweep's lock.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet, Sum

from threadhub import audit
from threadhub.lib.errors import NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import tasks
from threads.lifecycle import candidates, kept_plan, policies, rules
from threads.lifecycle import plan as plans
from threads.lifecycle.candidates import Selection
from threads.lifecycle.plan import Plan
from threads.lifecycle.resolver import Rule
from threads.models import RetentionJob, RetentionPolicy, ThreadCount

logger = logging.getLogger(__name__)

AT_ONCE = 4_000  # threads of a workspace, so many are counted while somebody waits
FRESH = timedelta(hours=1)  # so long what was counted is shown, and may be confirmed
LOCK = "SELECT pg_try_advisory_lock(hashtextextended('threadhub.count ' || %s, 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('threadhub.count ' || %s, 0))"


class CountGone(NotFound):
    """This count is too old, or other policies are in force since. Count again."""

    code = "count_gone"


class _Stopped(Exception):
    """Somebody asked to stop, or the worker ends."""


def is_small(*, workspace_id: UUID) -> bool:
    """Whether what is due there is counted at once."""
    return _threads(workspace_id) <= AT_ONCE


def latest(*, actor: Actor, now: datetime, policy: RetentionPolicy | None = None) -> RetentionJob:
    """The count of the workspace that goes on, or was made lately with the rules of now, or came to nothing lately;
    else a new one. `policy`: as if it were in force and its grace over."""
    actor.require(Permission.RETENTION_READ)
    job = _jobs(actor.workspace_id, policy).first()
    if job is not None and (job.live or _is_good(job, policy, now) or _failed(job, now)):
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
    stop = stop or Event()
    done = 0
    waiting = RetentionJob.objects.filter(kind=RetentionJob.Kind.COUNT, status__in=RetentionJob.LIVE)
    for job in list(waiting.order_by("created_at", "id")):
        with _alone(job) as mine:
            if mine and not stop.is_set() and waiting.filter(pk=job.pk).exists():
                _do(job, stop)
                done += 1
    return done


def _do(job: RetentionJob, stop: Event) -> None:
    """Count from the beginning, also where a worker died half-way: nothing of that is kept."""
    mine = RetentionJob.objects.filter(pk=job.pk)
    mine.update(status=RetentionJob.Status.RUNNING, started_at=candidates.database_now(), done=0)
    policy = RetentionPolicy.objects.filter(pk=job.policy_id).first() if job.policy_id else None
    if job.policy_id and policy is None:
        _end(job, RetentionJob.Status.FAILED, ended="failed", error="The policy is gone.")
        return
    in_force = _rules(job.workspace_id, policy, job.cutoff)

    def note(looked_at: int) -> None:
        mine.update(done=min(looked_at, job.planned))
        if stop.is_set() or mine.filter(stop_asked=True).exists():
            raise _Stopped

    try:
        selection = Selection(workspace_id=job.workspace_id)
        made = plans.make(selection=selection, cutoff=job.cutoff, only=in_force, progress=note)
    except _Stopped:
        if not stop.is_set():
            _end(job, RetentionJob.Status.DONE, ended="stopped")
        return
    kept = {**kept_plan.keep(made), "rules": _spelled(in_force, job.workspace_id)}
    _end(job, RetentionJob.Status.DONE, ended="done", plan=kept, done=job.planned)


def _end(job: RetentionJob, status: str, **fields: object) -> None:
    RetentionJob.objects.filter(pk=job.pk).update(status=status, finished_at=candidates.database_now(), **fields)


@contextmanager
def _alone(job: RetentionJob) -> Iterator[bool]:
    """Whether no other worker makes this count."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [str(job.pk)])
        (mine,) = cursor.fetchone()
    try:
        yield bool(mine)
    finally:
        if mine and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute(UNLOCK, [str(job.pk)])


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
    whole = job.status == RetentionJob.Status.DONE and job.ended == "done" and now - job.cutoff < FRESH
    return whole and job.plan["rules"] == _spelled(_rules(job.workspace_id, policy, now), job.workspace_id)


def _failed(job: RetentionJob, now: datetime) -> bool:
    """Whether it ended without a plan. Somebody stopped it, perhaps: asking again is for people, not for a page."""
    return not job.live and job.ended != "done" and now - job.cutoff < FRESH


def _rules(workspace_id: UUID, policy: RetentionPolicy | None, now: datetime) -> list[Rule]:
    if policy is None:
        return rules.in_force(workspace_id=workspace_id, now=now)
    return policies.as_if_enabled(policy=policy, now=now)


def _spelled(in_force: list[Rule], workspace_id: UUID) -> str:
    """Rules and the trash's time, in short: others are another text."""
    told = [*sorted(map(repr, in_force)), str(rules.settings_of(workspace_id).trash_days)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
