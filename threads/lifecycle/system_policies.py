"""The installation's policies, which count in every workspace. They are made, previewed and enabled as a workspace's
are; `actor` is a superuser, who was let in before."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from threadhub import audit
from threadhub.audit import Who
from threadhub.workspaces.models import Workspace
from threads.lifecycle import candidates, plan, policies, rules
from threads.lifecycle.candidates import Selection
from threads.lifecycle.plan import Plan
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
    locked = _lock(policy)
    policies.refuse_if_protecting(locked, now)
    for name, value in _known(terms).items():
        setattr(locked, name, value)
    locked.enabled, locked.acts_from, locked.first_acted_at, locked.updated_at = False, None, None, now
    policies.save(locked)
    audit.record(actor=actor, action="system_policy.change", ids=[locked.wire_id], details=policies.told(locked))
    return locked


@transaction.atomic
def preview(*, actor: Who, policy: SystemPolicy) -> list[Plan]:
    """What a sweep of each workspace would do now if the policy acted at once; plans of workspaces where it would do
    anything. Looking at it is what allows to enable the policy."""
    now = candidates.database_now()
    found = [made for made in _plans(policy, now) if made.by_policy[policy.id]]
    due = sum(made.by_policy[policy.id] for made in found)
    SystemPolicy.objects.filter(pk=policy.pk).update(
        previewed_at=now, previewed_terms=policies.terms_hash(policy), previewed_count=due
    )
    audit.record(actor=actor, action="system_policy.preview", ids=[policy.wire_id], details={"due": due})
    return found


@transaction.atomic
def enable(*, actor: Who, policy: SystemPolicy, now: datetime) -> SystemPolicy:
    """Put a policy in force; it removes nothing before a grace is over. Raises NotPreviewed."""
    locked = _lock(policy)
    if locked.enabled:
        return locked
    if locked.previewed_terms != policies.terms_hash(locked):
        raise policies.NotPreviewed
    locked.enabled, locked.acts_from, locked.first_acted_at, locked.updated_at = True, now + grace(), None, now
    locked.save(update_fields=["enabled", "acts_from", "first_acted_at", "updated_at"])
    details = {**policies.told(locked), "acts_from": locked.acts_from.isoformat()}
    audit.record(actor=actor, action="system_policy.enable", ids=[locked.wire_id], details=details)
    return locked


@transaction.atomic
def disable(*, actor: Who, policy: SystemPolicy, now: datetime) -> SystemPolicy:
    """Take a policy out of force: one that removes stops at once, one that retains goes on for the grace."""
    locked = _lock(policy)
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
    locked = _lock(policy)
    policies.refuse_if_protecting(locked, now)
    audit.record(actor=actor, action="system_policy.delete", ids=[locked.wire_id], details=policies.told(locked))
    locked.delete()


def grace() -> timedelta:
    """Of the installation: what workspaces have that did not choose."""
    return timedelta(hours=RetentionSettings().grace_hours)


def _plans(policy: SystemPolicy, now: datetime) -> Iterator[Plan]:
    own = replace(rules.rule(policy, level="system"), acts_from=None)
    for workspace_id in Workspace.objects.order_by("created_at", "id").values_list("pk", flat=True):
        others = [rule for rule in rules.in_force(workspace_id=workspace_id, now=now) if rule.id != policy.id]
        yield plan.make(selection=Selection(workspace_id=workspace_id), cutoff=now, only=[*others, own])


def _lock(policy: SystemPolicy) -> SystemPolicy:
    locked = SystemPolicy.objects.select_for_update().filter(pk=policy.pk).first()
    if locked is None:
        raise policies.PolicyNotFound
    return locked


def _known(terms: dict[str, Any]) -> dict[str, Any]:
    unknown = set(terms) - TERMS
    if unknown:
        raise TypeError(f"no such term of a policy: {', '.join(sorted(unknown))}")
    return terms
