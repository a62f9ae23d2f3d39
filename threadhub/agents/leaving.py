"""Members who leave and keys that end: no agent names them any more, so that nothing comes back with a new membership.

An agent that named nobody else stays limited, to nobody: whoever may change agents opens it, and says so.
"""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, Func, QuerySet, UUIDField, Value

from threadhub import audit
from threadhub.agents import changes
from threadhub.agents.models import Agent
from threadhub.workspaces import managed_keys, memberships, personal_keys
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import ApiKey, Workspace


@transaction.atomic
def remove_member(*, actor: Actor, user_id: UUID, now: datetime) -> None:
    """As `memberships.remove`; their keys that end with it and they themselves are forgotten by all agents."""
    lock(workspace_id=actor.workspace_id)
    for key_id in memberships.remove(actor=actor, user_id=user_id, now=now):
        _forget_key(actor, actor.workspace_id, key_id)
    _forget_user(actor, user_id)


@transaction.atomic
def revoke_key(*, actor: Actor, key: ApiKey, now: datetime) -> None:
    """As `managed_keys.revoke`; all agents forget the key."""
    lock(workspace_id=key.workspace_id)
    managed_keys.revoke(actor=actor, key=key, now=now)
    _forget_key(actor, key.workspace_id, key.pk)


@transaction.atomic
def revoke_own_key(*, actor: Actor, key_id: UUID, now: datetime) -> None:
    """As `personal_keys.revoke`; all agents forget the key."""
    key = personal_keys.get(actor=actor, key_id=key_id, now=now)
    lock(workspace_id=key.workspace_id)
    personal_keys.revoke(actor=actor, key=key, now=now)
    _forget_key(actor, key.workspace_id, key.pk)


def lock(*, workspace_id: UUID) -> None:
    """Until the transaction ends nobody else leaves this workspace, nor names somebody in an agent of it: else an agent
    could name a member who was there when it looked, and gone when it was saved. Taken before any agent's row."""
    Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)


def _forget_user(actor: Actor, user_id: UUID) -> None:
    _take_out(actor, "allowed_users", user_id, _limited(actor.workspace_id).filter(allowed_users__contains=[user_id]))


def _forget_key(actor: Actor, workspace_id: UUID, key_id: UUID) -> None:
    """`workspace_id` is the key's: a person may revoke their own key of another workspace."""
    by = replace(actor, workspace_id=workspace_id)
    _take_out(by, "allowed_keys", key_id, _limited(workspace_id).filter(allowed_keys__contains=[key_id]))


def _limited(workspace_id: UUID) -> QuerySet[Agent]:
    """The limited agents, by their own small index."""
    return Agent.objects.filter(workspace_id=workspace_id, limited=True)


def _take_out(actor: Actor, field: str, value: UUID, agents: QuerySet[Agent]) -> None:
    """Each agent's history tells whom it names no more, and who saw to that."""
    named = list(agents.order_by("pk").only("pk"))
    without = Func(F(field), Value(value, output_field=UUIDField()), function="array_remove")
    Agent.objects.filter(workspace_id=actor.workspace_id, pk__in=[agent.pk for agent in named]).update(
        **{field: without}
    )
    gone = changes.in_list(added=[], removed=[changes.LISTS[field](value)])
    details = {"fields": [field], field: gone}
    audit.record_all(actor=actor, action="agent.update", events=[([agent.wire_id], details) for agent in named])
