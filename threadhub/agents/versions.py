"""The history of an agent: how it answered, since when, by whom. Kept by whoever changes it, in the same transaction.

Kept is what an answer depends on. Who may have the agent, whether it is active and which web pages it serves are no
part of it: to go back to earlier instructions must not open an agent to people who had it then. What changed of those
stands in the audit trail (changes.py).
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from threadhub.agents.models import Agent, AgentVersion, Tool
from threadhub.agents.usage import written
from threadhub.lib.errors import NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission

KEPT = (
    "name", "description", "provider", "model", "instructions", "temperature", "max_output_tokens", "context_budget",
    "max_steps", "max_seconds", "max_run_tokens", "max_run_cost", "titles", "double_texting", "metadata",
)  # fmt: skip
TOOLS = "tools"  # the ids, sorted


class VersionNotFound(NotFound):
    """The agent has no version of that number."""

    code = "agent_version_not_found"


def of_agent(*, actor: Actor, agent: Agent) -> QuerySet[AgentVersion]:
    """The versions of an agent, newest first. Raises PermissionMissing: they hold its instructions."""
    actor.require(Permission.AGENT_WRITE)
    return AgentVersion.objects.filter(workspace_id=agent.workspace_id, agent_id=agent.pk).order_by("-number")


def get(*, actor: Actor, agent: Agent, number: int) -> AgentVersion:
    """Raises VersionNotFound."""
    found = of_agent(actor=actor, agent=agent).filter(number=number).first()
    if found is None:
        raise VersionNotFound
    return found


def newest(*, agent: Agent) -> int | None:
    """The number of the version in force; None where the agent was not changed since there are versions."""
    numbers = AgentVersion.objects.filter(workspace_id=agent.workspace_id, agent_id=agent.pk).order_by("-number")
    return numbers.values_list("number", flat=True).first()


def note(*, agent: Agent, author: str, now: datetime, restored_from: int | None = None) -> AgentVersion | None:
    """Keep how the agent answers from `now` on; None where that is as before. Under the lock of the agent's row."""
    values = values_of(agent)
    before = AgentVersion.objects.filter(workspace_id=agent.workspace_id, agent_id=agent.pk).order_by("-number").first()
    changed = [name for name in values if before is None or before.values.get(name) != values[name]]
    if not changed:
        return None
    return AgentVersion.objects.create(
        workspace_id=agent.workspace_id,
        agent_id=agent.pk,
        number=before.number + 1 if before else 1,
        values=values,
        changed=changed if before else [],
        restored_from=restored_from,
        author=author,
        created_at=now,
    )


def values_of(agent: Agent) -> dict[str, Any]:
    """How the agent answers, as JSON."""
    values = {name: getattr(agent, name) for name in KEPT}
    values["max_run_cost"] = written(agent.max_run_cost)
    values[TOOLS] = sorted(str(pk) for pk in agent.tools.values_list("pk", flat=True))
    return values


def tools_of(version: AgentVersion) -> list[Tool]:
    """Those of its tools that there still are, by name."""
    tools = Tool.objects.filter(workspace_id=version.workspace_id, pk__in=map(UUID, version.values[TOOLS]))
    return list(tools.order_by("name", "id"))
