"""The policies in force, as the resolver's rules."""

from datetime import datetime
from uuid import UUID

from django.db.models import Q

from threads.lifecycle.models import PolicyTerms, RetentionPolicy, RetentionSettings, SystemPolicy
from threads.lifecycle.resolver import Rule


def in_force(*, workspace_id: UUID, now: datetime) -> list[Rule]:
    """What counts in a workspace: its enabled policies and the system's. A retain policy that was switched off goes on
    protecting until its grace is over, so that nothing is lost in the hour of a mistake."""
    counts = Q(enabled=True) | Q(action="retain", acts_from__gt=now)
    own = RetentionPolicy.objects.filter(counts, workspace_id=workspace_id).order_by("id")
    system = SystemPolicy.objects.filter(counts).order_by("id")
    return [
        *(rule(policy, level=policy.scope, target_id=policy.target_id) for policy in own),
        *(rule(policy, level="system") for policy in system),
    ]


def rule(policy: PolicyTerms, *, level: str, target_id: UUID | None = None) -> Rule:
    """A policy as a rule. What protects does so at once; what removes waits for `acts_from`."""
    return Rule(
        id=policy.id,
        level=level,
        action=policy.action,
        counted_from=policy.counted_from,
        days=policy.days,
        target_id=target_id,
        external_ref_prefix=policy.external_ref_prefix,
        metadata=policy.metadata,
        origin=policy.origin,
        acts_from=None if policy.action == PolicyTerms.Action.RETAIN else policy.acts_from,
        name=policy.name,
    )


def settings_of(workspace_id: UUID) -> RetentionSettings:
    """The workspace's settings; the defaults where it has none."""
    found = RetentionSettings.objects.filter(workspace_id=workspace_id).first()
    return found or RetentionSettings(workspace_id=workspace_id)
