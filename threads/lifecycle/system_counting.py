"""Counting what a policy of the installation would do, where the workspaces together are too large to count while
somebody waits for a page: by the worker, as counting.py does for one workspace."""

import hashlib
from datetime import datetime
from threading import Event
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, F, Max, Q, Sum

from threadhub import audit
from threadhub.audit import Who
from threadhub.lib import json
from threadhub.workspaces.models import Workspace
from threads import tasks
from threads.lifecycle import candidates, counted_work, counting, kept_plan, policies, system_policies
from threads.lifecycle.counted_work import Progress
from threads.lifecycle.plan import Effect
from threads.models import RetentionPolicy, RetentionSettings, SystemCount, SystemPolicy, ThreadCount

WORKSPACES = 20  # at most, that are counted while somebody waits


def is_small() -> bool:
    """Whether what is due everywhere is counted at once."""
    few = Workspace.objects.order_by().values("pk")[: WORKSPACES + 1].count() <= WORKSPACES
    return few and sum(_threads().values()) <= counting.AT_ONCE


def latest(*, actor: Who, policy: SystemPolicy, now: datetime) -> SystemCount:
    """The policy's count if it goes on, or was made lately with the rules of now, or came to nothing lately; else a
    new one."""
    job = SystemCount.objects.filter(policy=policy).first()
    if job is not None and (job.live or _is_good(job, policy, now) or counted_work.has_failed(job, now)):
        return job
    return ask(actor=actor, policy=policy, now=now)


@transaction.atomic
def ask(*, actor: Who, policy: SystemPolicy, now: datetime) -> SystemCount:
    """Have the worker count; where it does already, that one. What was counted before is forgotten. Raises
    PolicyNotFound."""
    system_policies.lock(policy)
    earlier = SystemCount.objects.filter(policy=policy).first()
    if earlier is not None and earlier.live:
        return earlier
    SystemCount.objects.filter(policy=policy).delete()
    planned = sum(_threads().values())
    cutoff, asked_by = candidates.database_now(), actor.identity
    job = SystemCount.objects.create(policy=policy, cutoff=cutoff, planned=planned, asked_by=asked_by, created_at=now)
    audit.record(actor=actor, action="system_count.create", ids=[job.wire_id, policy.wire_id])
    tasks.count_retention.defer()
    return job


@transaction.atomic
def stop(*, actor: Who, policy: SystemPolicy) -> None:
    """End the policy's count; one that has ended stays as it is."""
    live = SystemCount.objects.filter(policy=policy, status__in=SystemCount.LIVE, stop_asked=False)
    for job in live.select_for_update():
        SystemCount.objects.filter(pk=job.pk).update(stop_asked=True)
        audit.record(actor=actor, action="system_count.stop", ids=[job.wire_id, policy.wire_id])


def effect_of(*, job: SystemCount) -> Effect:
    """What a count found."""
    return kept_plan.recall_effect(job.plan)


def do_waiting(*, stop: Event | None = None) -> int:
    """Make every count that was asked for and that nobody has in hand; returns how many. For the worker."""
    waiting = SystemCount.objects.filter(status__in=SystemCount.LIVE).select_related("policy")
    return counted_work.do_each(waiting, count=_count, stop=stop)


def _count(job: SystemCount, progress: Progress) -> dict[str, Any]:
    in_force, sizes, before = _rules(job.policy), _threads(), 0
    current: UUID | None = None

    def note(workspace_id: UUID, looked_at: int) -> None:
        nonlocal before, current
        if workspace_id != current:
            before += sizes.get(current, 0) if current else 0
            current = workspace_id
        progress(before + looked_at)

    effect = system_policies.count(policy=job.policy, cutoff=job.cutoff, progress=note)
    return {**kept_plan.keep_effect(effect), "rules": in_force}


def _threads() -> dict[UUID, int]:
    """How many each workspace has, by the counters."""
    own = ThreadCount.objects.filter(subject=F("workspace_id")).order_by().values_list("workspace_id")
    return dict(own.annotate(threads=Sum("number")))


def _is_good(job: SystemCount, policy: SystemPolicy, now: datetime) -> bool:
    """Whether it was counted lately, and to its end, with the rules of now."""
    return counted_work.is_whole(job, now) and bool(job.plan["rules"] == _rules(policy))


def _rules(policy: SystemPolicy) -> str:
    """The policy's terms, and that nothing has changed in any other's and in the settings: in short, three queries for
    however many workspaces."""
    counts = Q(enabled=True) | Q(acts_from__isnull=False)
    others = [
        RetentionPolicy.objects.filter(counts),
        SystemPolicy.objects.filter(counts).exclude(pk=policy.pk),
        RetentionSettings.objects.all(),
    ]
    told = [each.order_by().aggregate(number=Count("pk"), last=Max("updated_at")) for each in others]
    spelled = [policies.terms_hash(policy), *(f"{each['number']} {each['last']}" for each in told)]
    return hashlib.sha256(json.dumps_sorted(spelled)).hexdigest()
