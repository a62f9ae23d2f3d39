"""The installation's policies, which count in every workspace. They are made, previewed and enabled as a workspace's
are; `actor` is a superuser, who was let in before."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction

from threadhub import audit
from threadhub.audit import Who
from threadhub.workspaces.models import Workspace
from threads.lifecycle import candidates, plan, policies, rules
from threads.lifecycle.candidates import Selection
from threads.lifecycle.plan import Effect
from threads.models import RetentionSettings, SystemPolicy

TERMS = frozenset({"name", "action", "counted_from", "days", "external_ref_prefix", "metadata", "origin"})


@transaction.atomic
def create(*, actor: Who, now: datetime, **terms: Any) -> SystemPolicy:
    """A new policy, disabled. Raises Invalid with a row per fault."""
    policy = SystemPolicy(created_at=now, updated_at=now, **_known(terms))
    policies.save(policy)
    audit.record(actor=actor, action="system_policy.create", ids=[policy.wire_id], details=policies.told(policy))
    return policy


@transaction.atomic
def change(*, actor: Who, policy: SystemPolicy, now: datetime, **terms: Any) -> SystemPolicy:
    """Change terms; the policy is disabled by it and wants a new preview. Raises PolicyInForce, Invalid."""
    locked = lock(policy)
    policies.refuse_if_protecting(locked, now)
    for name, value in _known(terms).items():
        setattr(locked, name, value)
    locked.enabled, locked.acts_from, locked.acted_count, locked.updated_at = False, None, 0, now
    policies.save(locked)
    audit.record(actor=actor, action="system_policy.change", ids=[locked.wire_id], details=policies.told(locked))
    return locked


@transaction.atomic
def preview(*, actor: Who, policy: SystemPolicy) -> Effect:
    """What the sweeps of all workspaces would do now if the policy acted at once. Looking at it is what allows to
    enable the policy."""
    now = candidates.database_now()
    effect = count(policy=policy, cutoff=now)
    looked_at(actor=actor, policy=policy, effect=effect, cutoff=now)
    return effect


def count(*, policy: SystemPolicy, cutoff: datetime, progress: Callable[[UUID, int], Any] | None = None) -> Effect:
    """What is of its doing, as if it were in force and its grace over. `progress` gets the workspace in hand and how
    many of its threads were looked at."""
    effect = Effect()
    own = replace(rules.rule(policy, level="system"), acts_from=None)
    for workspace_id in Workspace.objects.order_by("created_at", "id").values_list("pk", flat=True):
        note = partial(progress or _nobody_waits, workspace_id)
        note(0)
        others = [rule for rule in rules.in_force(workspace_id=workspace_id, now=cutoff) if rule.id != policy.id]
        made = plan.make(
            selection=Selection(workspace_id=workspace_id),
            cutoff=cutoff,
            only=[*others, own],
            progress=note,
        )
        effect.add(made.effect_of(policy.id))
    return effect


@transaction.atomic
def looked_at(*, actor: Who, policy: SystemPolicy, effect: Effect, cutoff: datetime) -> None:
    """Note that somebody saw what the policy would do, as its terms are now."""
    due = effect.share.total
    seen = {"previewed_at": cutoff, "previewed_terms": policies.terms_hash(policy), "previewed_count": due}
    if SystemPolicy.objects.filter(pk=policy.pk).exclude(**seen).update(**seen):
        audit.record(actor=actor, action="system_policy.preview", ids=[policy.wire_id], details={"due": due})


@transaction.atomic
def enable(*, actor: Who, policy: SystemPolicy, now: datetime) -> SystemPolicy:
    """Put a policy in force; it removes nothing before a grace is over. Raises NotPreviewed."""
    locked = lock(policy)
    if locked.enabled:
        return locked
    if locked.previewed_terms != policies.terms_hash(locked):
        raise policies.NotPreviewed
    locked.enabled, locked.acts_from, locked.acted_count, locked.updated_at = True, now + grace(), 0, now
    locked.save(update_fields=["enabled", "acts_from", "acted_count", "updated_at"])
    details = {**policies.told(locked), "acts_from": locked.acts_from.isoformat()}
    audit.record(actor=actor, action="system_policy.enable", ids=[locked.wire_id], details=details)
    return locked


@transaction.atomic
def disable(*, actor: Who, policy: SystemPolicy, now: datetime) -> SystemPolicy:
    """Take a policy out of force: one that removes stops at once, one that retains goes on for the grace."""
    locked = lock(policy)
    if not locked.enabled:
        return locked
    retains = locked.action == SystemPolicy.Action.RETAIN
    locked.enabled, locked.acts_from, locked.updated_at = False, now + grace() if retains else None, now
    locked.save(update_fields=["enabled", "acts_from", "updated_at"])
    audit.record(actor=actor, action="system_policy.disable", ids=[locked.wire_id], details=policies.told(locked))
    return locked


@transaction.atomic
def delete(*, actor: Who, policy: SystemPolicy, now: datetime) -> None:
    """Remove a policy. Raises PolicyInForce for one that still protects."""
    locked = lock(policy)
    policies.refuse_if_protecting(locked, now)
    audit.record(actor=actor, action="system_policy.delete", ids=[locked.wire_id], details=policies.told(locked))
    locked.delete()


def grace() -> timedelta:
    """Of the installation: what workspaces have that did not choose."""
    return timedelta(hours=RetentionSettings().grace_hours)


def _nobody_waits(workspace_id: UUID, looked_at: int) -> None:
    """Nobody asks how far it is."""


def lock(policy: SystemPolicy) -> SystemPolicy:
    """Its row as it is now, until the transaction ends. Raises PolicyNotFound."""
    locked = SystemPolicy.objects.select_for_update().filter(pk=policy.pk).first()
    if locked is None:
        raise policies.PolicyNotFound
    return locked


def _known(terms: dict[str, Any]) -> dict[str, Any]:
    unknown = set(terms) - TERMS
    if unknown:
        raise TypeError(f"no such term of a policy: {', '.join(sorted(unknown))}")
    return terms
