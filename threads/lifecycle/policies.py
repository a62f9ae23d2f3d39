"""Retention policies of a workspace: made disabled, previewed, enabled, and never changed behind anybody's back."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from threadhub import audit
from threadhub.agents.models import Agent
from threadhub.lib import json
from threadhub.lib.errors import Conflict, Invalid, NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads.lifecycle import candidates, plan, rules
from threads.lifecycle.candidates import Selection
from threads.lifecycle.models import PolicyTerms
from threads.lifecycle.plan import Plan
from threads.lifecycle.resolver import Rule
from threads.models import RetentionPolicy, Thread

TERMS = (
    "name", "scope", "target_id", "action", "counted_from", "days", "external_ref_prefix", "metadata", "origin",
)  # fmt: skip
DELETES = ("archive", "trash", "purge")


class PolicyNotFound(NotFound):
    """Retention policy not found."""

    code = "policy_not_found"


class NotPreviewed(Conflict):
    """A policy is enabled after its preview was looked at, and as it was then; preview it again."""

    code = "policy_not_previewed"


class PolicyInForce(Conflict):
    """This policy still protects threads; disable it and wait for the end of its grace."""

    code = "policy_in_force"


def visible(*, actor: Actor) -> QuerySet[RetentionPolicy]:
    """The workspace's policies, newest first."""
    return RetentionPolicy.objects.filter(workspace_id=actor.workspace_id).order_by("-created_at", "-id")


def get(*, actor: Actor, policy_id: UUID) -> RetentionPolicy:
    """A policy of the workspace. Raises PolicyNotFound."""
    policy = visible(actor=actor).filter(pk=policy_id).first()
    if policy is None:
        raise PolicyNotFound
    return policy


@transaction.atomic
def create(*, actor: Actor, now: datetime, **terms: Any) -> RetentionPolicy:
    """A new policy, disabled. Raises Invalid with a row per fault."""
    actor.require(Permission.RETENTION_WRITE)
    policy = RetentionPolicy(workspace_id=actor.workspace_id, created_at=now, updated_at=now, **_known(terms))
    save(policy)
    audit.record(actor=actor, action="retention_policy.create", ids=[policy.wire_id], details=told(policy))
    return policy


@transaction.atomic
def change(*, actor: Actor, policy: RetentionPolicy, now: datetime, **terms: Any) -> RetentionPolicy:
    """Change terms; the policy is disabled by it and wants a new preview. Raises PolicyInForce where that would take a
    protection away at once."""
    actor.require(Permission.RETENTION_WRITE)
    locked = _lock(policy)
    refuse_if_protecting(locked, now)
    for name, value in _known(terms).items():
        setattr(locked, name, value)
    locked.enabled, locked.acts_from, locked.acted_count, locked.updated_at = False, None, 0, now
    save(locked)
    audit.record(actor=actor, action="retention_policy.change", ids=[locked.wire_id], details=told(locked))
    return locked


@transaction.atomic
def preview(*, actor: Actor, policy: RetentionPolicy) -> Plan:
    """What a sweep would do now if the policy were enabled and acted at once: only what would be of this policy's doing
    is counted under it. Looking at it is what allows to enable the policy."""
    actor.require(Permission.RETENTION_READ)
    now = candidates.database_now()
    selection = Selection(workspace_id=policy.workspace_id)
    made = plan.make(selection=selection, cutoff=now, only=as_if_enabled(policy=policy, now=now))
    looked_at(actor=actor, policy=policy, made=made)
    return made


def as_if_enabled(*, policy: RetentionPolicy, now: datetime) -> list[Rule]:
    """The rules of its workspace, were it in force and its grace over."""
    own = rules.rule(policy, level=policy.scope, target_id=policy.target_id)
    others = [rule for rule in rules.in_force(workspace_id=policy.workspace_id, now=now) if rule.id != policy.id]
    return [*others, replace(own, acts_from=None)]


def looked_at(*, actor: Actor, policy: RetentionPolicy, made: Plan) -> None:
    """Note that somebody who may write saw what the policy would do, as its terms are now."""
    if not actor.may(Permission.RETENTION_WRITE):
        return
    count = made.by_policy[policy.id]
    seen = {"previewed_at": made.cutoff, "previewed_terms": terms_hash(policy), "previewed_count": count}
    mine = RetentionPolicy.objects.filter(pk=policy.pk, workspace_id=policy.workspace_id)
    if mine.exclude(**seen).update(**seen):
        audit.record(actor=actor, action="retention_policy.preview", ids=[policy.wire_id], details={"due": count})


@transaction.atomic
def enable(*, actor: Actor, policy: RetentionPolicy, now: datetime, grace: timedelta | None = None) -> RetentionPolicy:
    """Put a policy in force; it removes nothing before the grace is over (of the workspace's settings unless given).
    Raises NotPreviewed."""
    actor.require(Permission.RETENTION_WRITE)
    locked = _lock(policy)
    if locked.enabled:
        return locked
    if locked.previewed_terms != terms_hash(locked):
        raise NotPreviewed
    if grace is None:
        grace = timedelta(hours=rules.settings_of(locked.workspace_id).grace_hours)
    locked.enabled, locked.acts_from, locked.acted_count, locked.updated_at = True, now + grace, 0, now
    locked.save(update_fields=["enabled", "acts_from", "acted_count", "updated_at"])
    details = {**told(locked), "acts_from": locked.acts_from.isoformat()}
    audit.record(actor=actor, action="retention_policy.enable", ids=[locked.wire_id], details=details)
    return locked


@transaction.atomic
def disable(*, actor: Actor, policy: RetentionPolicy, now: datetime) -> RetentionPolicy:
    """Take a policy out of force: one that removes stops at once, one that retains goes on for the grace."""
    actor.require(Permission.RETENTION_WRITE)
    locked = _lock(policy)
    if not locked.enabled:
        return locked
    grace = timedelta(hours=rules.settings_of(locked.workspace_id).grace_hours)
    retains = locked.action == RetentionPolicy.Action.RETAIN
    locked.enabled, locked.acts_from, locked.updated_at = False, now + grace if retains else None, now
    locked.save(update_fields=["enabled", "acts_from", "updated_at"])
    audit.record(actor=actor, action="retention_policy.disable", ids=[locked.wire_id], details=told(locked))
    return locked


@transaction.atomic
def delete(*, actor: Actor, policy: RetentionPolicy, now: datetime) -> None:
    """Remove a policy. Raises PolicyInForce for one that still protects."""
    actor.require(Permission.RETENTION_WRITE)
    locked = _lock(policy)
    refuse_if_protecting(locked, now)
    audit.record(actor=actor, action="retention_policy.delete", ids=[locked.wire_id], details=told(locked))
    RetentionPolicy.objects.filter(pk=locked.pk, workspace_id=locked.workspace_id).delete()


def terms_hash(policy: PolicyTerms) -> str:
    """What a preview was of."""
    terms = {name: getattr(policy, name, None) for name in TERMS if name != "name"}
    target = str(getattr(policy, "target_id", None))
    return hashlib.sha256(json.dumps_sorted({**terms, "target_id": target})).hexdigest()


def _lock(policy: RetentionPolicy) -> RetentionPolicy:
    locked = RetentionPolicy.objects.select_for_update().filter(pk=policy.pk, workspace_id=policy.workspace_id).first()
    if locked is None:
        raise PolicyNotFound
    return locked


def refuse_if_protecting(policy: PolicyTerms, now: datetime) -> None:
    winding_down = policy.acts_from is not None and policy.acts_from > now
    if policy.action == RetentionPolicy.Action.RETAIN and (policy.enabled or winding_down):
        raise PolicyInForce


def _known(terms: dict[str, Any]) -> dict[str, Any]:
    unknown = set(terms) - set(TERMS)
    if unknown:
        raise TypeError(f"no such term of a policy: {', '.join(sorted(unknown))}")
    return terms


def save(policy: PolicyTerms) -> None:
    """Write a policy whose terms are right. Raises Invalid with a row per fault."""
    rows = faults(policy)
    try:
        policy.full_clean(exclude=["workspace"], validate_constraints=False)
    except ValidationError as error:
        rows += [
            {"loc": ["body", field], "msg": message, "type": "value_error"}
            for field, messages in error.message_dict.items()
            for message in messages
        ]
    if rows:
        raise Invalid("The policy is not valid.", rows)
    policy.save()


def faults(policy: PolicyTerms) -> list[dict[str, Any]]:
    """What is wrong with the terms of a policy beyond single fields, as rows of Invalid."""
    found = []
    if policy.external_ref_prefix == "":
        found.append(("external_ref_prefix", "An empty prefix fits everything; leave it out."))
    if policy.metadata is not None and not (isinstance(policy.metadata, dict) and policy.metadata):
        found.append(("metadata", "This must be an object with at least one pair."))
    if policy.origin not in (None, *Thread.Origin.values):
        found.append(("origin", f"This must be one of: {', '.join(Thread.Origin.values)}."))
    if policy.counted_from == "trashed" and policy.action not in ("purge", "retain"):
        found.append(("counted_from", "What is in the trash can only be purged, or retained."))
    if policy.counted_from == "archived" and policy.action == "archive":
        found.append(("counted_from", "What is archived cannot be archived again."))
    if isinstance(policy, RetentionPolicy) and not _target_is_there(policy):
        found.append(("target_id", "The scope agent or thread needs the id of one of the workspace's."))
    return [{"loc": ["body", field], "msg": message, "type": "value_error"} for field, message in found]


def _target_is_there(policy: RetentionPolicy) -> bool:
    if policy.scope == RetentionPolicy.Scope.WORKSPACE or policy.target_id is None:
        return policy.scope == RetentionPolicy.Scope.WORKSPACE and policy.target_id is None
    model: Any = Agent if policy.scope == RetentionPolicy.Scope.AGENT else Thread
    return bool(model.objects.filter(pk=policy.target_id, workspace_id=policy.workspace_id).exists())


def told(policy: PolicyTerms) -> dict[str, Any]:
    """What the audit trail keeps of a policy."""
    return {
        "scope": getattr(policy, "scope", "system"),
        "action": policy.action,
        "counted_from": policy.counted_from,
        "days": policy.days,
        "enabled": policy.enabled,
    }
