"""The gate for agents: fetched for an actor, or not found."""

from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from threadhub.agents.models import Agent, Budget, Tool
from threadhub.lib.errors import Conflict, NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission


class AgentNotFound(NotFound):
    """Agent not found."""

    code = "agent_not_found"


class AgentDisabled(Conflict):
    """This agent is disabled."""

    code = "agent_disabled"


def visible(*, actor: Actor) -> QuerySet[Agent]:
    """The agents the actor may know of, newest first."""
    agents = Agent.objects.filter(workspace_id=actor.workspace_id).order_by("-created_at", "-id")
    return agents if actor.agent_id is None else agents.filter(pk=actor.agent_id)


def get(*, actor: Actor, agent_id: UUID) -> Agent:
    """One agent; raises AgentNotFound for absent and foreign ones alike."""
    agent = visible(actor=actor).filter(pk=agent_id).first()
    if agent is None:
        raise AgentNotFound
    return agent


def get_to_invoke(*, actor: Actor, agent_id: UUID) -> Agent:
    """One agent that may be asked; raises AgentNotFound, PermissionMissing or AgentDisabled."""
    budgets = Budget.objects.filter(workspace_id=OuterRef("workspace_id"))
    held = Exists(budgets.filter(Q(agent_id=OuterRef("pk")) | Q(agent_id=None)))
    agent = visible(actor=actor).filter(pk=agent_id).annotate(budgeted=held).first()
    if agent is None:
        raise AgentNotFound
    actor.require(Permission.AGENT_INVOKE)
    if not agent.active:
        raise AgentDisabled
    return agent


def visible_tools(*, actor: Actor) -> QuerySet[Tool]:
    """The tools that agents of the actor's workspace may have, by name."""
    return Tool.objects.filter(workspace_id=actor.workspace_id).order_by("name", "id")


def instructions(*, actor: Actor, agent: Agent) -> str | None:
    """The agent's instructions, for those who may change them; None for all others."""
    return agent.instructions if actor.may(Permission.AGENT_WRITE) else None
