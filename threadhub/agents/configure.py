"""Making and changing agents."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from threadhub import audit
from threadhub.agents import budgets
from threadhub.agents.models import Agent, Tool
from threadhub.lib.errors import Invalid
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import ApiKey, EndUser, Membership
from threadhub.workspaces.permissions import Permission

FIELDS = frozenset(
    {
        "name",
        "description",
        "provider",
        "model",
        "instructions",
        "temperature",
        "max_output_tokens",
        "context_budget",
        "max_steps",
        "max_seconds",
        "max_run_tokens",
        "max_run_cost",
        "titles",
        "double_texting",
        "active",
        "allowed_roles",
        "allowed_users",
        "allowed_keys",
        "metadata",
        "allowed_origins",
        "identity_required",
    }
)


@transaction.atomic
def create(*, actor: Actor, tools: list[UUID] | None = None, **fields: Any) -> Agent:
    """A new agent of the actor's workspace. `fields` are of FIELDS; raises Invalid with a row per fault."""
    actor.require(Permission.AGENT_WRITE)
    agent = Agent(workspace_id=actor.workspace_id, **_known(fields))
    _limit(agent)
    _save(agent)
    _require_price(agent, fields)
    if tools:
        agent.tools.set(_tools(actor, tools), through_defaults={"workspace_id": actor.workspace_id})
    agent.refresh_from_db()
    audit.record(actor=actor, action="agent.create", ids=[agent.wire_id], details={"fields": sorted(fields)})
    return agent


@transaction.atomic
def change(*, actor: Actor, agent: Agent, now: datetime, tools: list[UUID] | None = None, **fields: Any) -> Agent:
    """Change some fields of an agent; `tools` replaces its set. Raises Invalid."""
    actor.require(Permission.AGENT_WRITE)
    agent = Agent.objects.select_for_update().get(pk=agent.pk, workspace_id=actor.workspace_id)
    for name, value in _known(fields).items():
        setattr(agent, name, value)
    agent.updated_at = now
    _limit(agent)
    _save(agent)
    _require_price(agent, fields)
    if tools is not None:
        agent.tools.set(_tools(actor, tools), through_defaults={"workspace_id": actor.workspace_id})
    changed = [*fields, *(["tools"] if tools is not None else [])]
    audit.record(actor=actor, action="agent.update", ids=[agent.wire_id], details={"fields": sorted(changed)})
    return agent


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    unknown = set(fields) - FIELDS
    if unknown:
        raise TypeError(f"no such field of an agent: {', '.join(sorted(unknown))}")
    return fields


def _limit(agent: Agent) -> None:
    """An agent is limited where it names anybody. Raises Invalid for whom the workspace does not know."""
    for field, known in (("allowed_users", _people), ("allowed_keys", _keys)):
        wanted = list(dict.fromkeys(getattr(agent, field)))
        if unknown := set(wanted) - known(agent.workspace_id, wanted):
            message = f"There is none with the id of number {wanted.index(unknown.pop()) + 1} in this workspace."
            raise Invalid.at("body", field, msg=message)
        setattr(agent, field, wanted)
    agent.allowed_roles = list(dict.fromkeys(agent.allowed_roles))
    agent.limited = bool(agent.allowed_roles or agent.allowed_users or agent.allowed_keys)


def _require_price(agent: Agent, fields: dict[str, Any]) -> None:
    """A limit of money that nobody could hold is refused where it is set, or where the model is changed under it."""
    if agent.max_run_cost is not None and fields.keys() & {"max_run_cost", "provider", "model"}:
        budgets.require_price(agent, field="max_run_cost")


def _people(workspace_id: UUID, wanted: list[UUID]) -> set[UUID]:
    """Those of the users who are members or end users of the workspace."""
    here = {"workspace_id": workspace_id, "user_id__in": wanted}
    if not wanted:
        return set()
    members = Membership.objects.filter(**here).values_list("user_id", flat=True)
    return {*members, *EndUser.objects.filter(**here).values_list("user_id", flat=True)}


def _keys(workspace_id: UUID, wanted: list[UUID]) -> set[UUID]:
    if not wanted:
        return set()
    return set(ApiKey.objects.filter(workspace_id=workspace_id, pk__in=wanted).values_list("pk", flat=True))


def _save(agent: Agent) -> None:
    try:
        agent.full_clean(exclude=["workspace", "tools"])
    except ValidationError as error:
        rows = [
            {"loc": ["body", field], "msg": message, "type": "value_error"}
            for field, messages in error.message_dict.items()
            for message in messages
        ]
        raise Invalid("The agent is not valid.", rows) from error
    agent.save()


def _tools(actor: Actor, wanted: list[UUID]) -> list[Tool]:
    tools = list(Tool.objects.filter(workspace_id=actor.workspace_id, pk__in=wanted))
    if len(tools) != len(set(wanted)):
        raise Invalid.at("body", "tools", msg="There is no tool with that id.")
    return tools
