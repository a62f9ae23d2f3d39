"""Making and changing agents."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from threadhub import audit
from threadhub.agents import budgets, changes, leaving, versions
from threadhub.agents.models import Agent, AgentVersion, Tool
from threadhub.lib.errors import Conflict, Invalid
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
        "limited",
        "metadata",
        "allowed_origins",
        "identity_required",
    }
)
LISTS = {"allowed_roles", "allowed_users", "allowed_keys"}


class AgentChanged(Conflict):
    """The agent was changed meanwhile. Look at it again before you change it."""

    code = "agent_changed"


@transaction.atomic
def create(*, actor: Actor, tools: list[UUID] | None = None, **fields: Any) -> Agent:
    """A new agent of the actor's workspace. `fields` are of FIELDS; raises Invalid with a row per fault."""
    actor.require(Permission.AGENT_WRITE)
    agent = Agent(workspace_id=actor.workspace_id)
    usual = changes.standing(agent)
    _limit(agent, fields)
    _set(agent, fields)
    _save(agent)
    _require_price(agent, fields)
    if tools:
        agent.tools.set(_tools(actor, tools), through_defaults={"workspace_id": actor.workspace_id})
    agent.refresh_from_db()
    version = versions.note(agent=agent, author=actor.identity, now=timezone.now())
    _record(actor, "agent.create", agent, fields, usual, version)
    return agent


@transaction.atomic
def change(
    *,
    actor: Actor,
    agent: Agent,
    now: datetime,
    tools: list[UUID] | None = None,
    restored_from: int | None = None,
    seen: datetime | None = None,
    **fields: Any,
) -> Agent:
    """Change some fields of an agent; `tools` replaces its set. `seen`: when the agent that the actor knows was changed
    last. Raises AgentChanged, Invalid."""
    actor.require(Permission.AGENT_WRITE)
    if LISTS & fields.keys():
        leaving.lock(workspace_id=actor.workspace_id)
    agent = Agent.objects.select_for_update().get(pk=agent.pk, workspace_id=actor.workspace_id)
    if seen is not None and agent.updated_at != seen:
        raise AgentChanged
    before, model = changes.standing(agent), (agent.provider, agent.model)
    _limit(agent, fields)
    _set(agent, fields)
    agent.updated_at = now
    _save(agent)
    _require_price(agent, fields)
    if (agent.provider, agent.model) != model:
        budgets.require_price_under_budget(agent)
    if tools is not None:
        agent.tools.set(_tools(actor, tools), through_defaults={"workspace_id": actor.workspace_id})
    version = versions.note(agent=agent, author=actor.identity, now=now, restored_from=restored_from)
    changed = [*fields, *(["tools"] if tools is not None else [])]
    _record(actor, "agent.update", agent, changed, before, version)
    return agent


@transaction.atomic
def go_back(*, actor: Actor, agent: Agent, number: int, now: datetime, seen: int | None = None) -> Agent:
    """Let the agent answer as it did in an earlier version: that becomes its newest one. Tools that are gone stay gone,
    and what no version holds stays as it is. `seen`: the newest version that the actor knows of, where they were told
    what would change. Raises VersionNotFound, AgentChanged, and Invalid where it would not be valid any more."""
    version = versions.get(actor=actor, agent=agent, number=number)
    if seen is not None:
        Agent.objects.select_for_update().get(pk=agent.pk, workspace_id=actor.workspace_id)
        if versions.newest(agent=agent) != seen:
            raise AgentChanged
    fields = {name: version.values[name] for name in versions.KEPT}
    if fields["max_run_cost"] is not None:
        fields["max_run_cost"] = Decimal(fields["max_run_cost"])
    tools = [tool.pk for tool in versions.tools_of(version)]
    return change(actor=actor, agent=agent, now=now, tools=tools, restored_from=number, **fields)


def _record(
    actor: Actor, action: str, agent: Agent, fields: Iterable[str], before: Mapping[str, Any], made: AgentVersion | None
) -> None:
    """One event: which fields were set, the version that came of it, and what changed that no version holds."""
    details = {"fields": sorted(fields), **changes.between(before, changes.standing(agent))}
    if made is not None:
        details["version"] = made.number
    audit.record(actor=actor, action=action, ids=[agent.wire_id], details=details)


def _set(agent: Agent, fields: dict[str, Any]) -> None:
    unknown = set(fields) - FIELDS
    if unknown:
        raise TypeError(f"no such field of an agent: {', '.join(sorted(unknown))}")
    for name, value in fields.items():
        if name not in {*LISTS, "limited"}:
            setattr(agent, name, value)


def _limit(agent: Agent, fields: dict[str, Any]) -> None:
    """Set whom the agent names, and whether it is limited: said in `limited`, else by whether a changed list names
    anybody. What is sent back as it was read changes nothing: an agent whose last member left does not open by that.

    Raises Invalid for whom the workspace does not know, and for an agent that names somebody and is for everybody.
    """
    before = [getattr(agent, name) for name in sorted(LISTS)]
    for field in LISTS & fields.keys():
        wanted = list(dict.fromkeys(fields[field]))
        if unknown := set(wanted) - KNOWN[field](agent.workspace_id, wanted):
            message = f"There is none with the id of number {wanted.index(unknown.pop()) + 1} in this workspace."
            raise Invalid.at("body", field, msg=message)
        setattr(agent, field, wanted)
    named = [getattr(agent, name) for name in sorted(LISTS)]
    if "limited" in fields:
        agent.limited = fields["limited"]
        if any(named) and not agent.limited:
            raise Invalid.at("body", "limited", msg="An agent that names somebody as allowed is limited to them.")
    elif named != before:
        agent.limited = any(named)


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


# Who of those named is known to a workspace.
KNOWN: dict[str, Callable[[UUID, list[Any]], set[Any]]] = {
    "allowed_roles": lambda _, wanted: set(wanted),
    "allowed_users": _people,
    "allowed_keys": _keys,
}


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
