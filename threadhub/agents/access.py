"""The gate for agents: fetched for an actor, or not found."""

from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from threadhub.agents import budgets
from threadhub.agents.models import Agent, AgentTool, Tool
from threadhub.lib.compiled import Compiled
from threadhub.lib.errors import Conflict, NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission, Role

OF_ALL = (Role.SUPPORT, Role.COMPLIANCE)


class AgentNotFound(NotFound):
    """Agent not found."""

    code = "agent_not_found"


class AgentDisabled(Conflict):
    """This agent is disabled."""

    code = "agent_disabled"


def visible(*, actor: Actor) -> QuerySet[Agent]:
    """The agents the actor may know of, newest first."""
    agents = Agent.objects.filter(workspace_id=actor.workspace_id).order_by("-created_at", "-id")
    if actor.agent_id is not None:
        agents = agents.filter(pk=actor.agent_id)
    return agents if has_every(actor=actor) else agents.filter(~Q(limited=True) | _allowed(actor))


def has_every(*, actor: Actor) -> bool:
    """Whether no limit of an agent counts for the actor: whoever could lift it, support people and compliance officers,
    who have to do with all conversations, and a visitor, whose session was opened with its agent by somebody who has
    it."""
    return actor.kind == "session" or actor.may(Permission.AGENT_WRITE) or actor.role in OF_ALL


def closed_to(*, actor: Actor) -> QuerySet[Agent]:
    """The limited agents that the actor may not have; served by the index of limited agents, most often empty."""
    return Agent.objects.filter(workspace_id=actor.workspace_id, limited=True).exclude(_allowed(actor)).order_by()


def _allowed(actor: Actor) -> Q:
    allowed = Q(allowed_keys__contains=[actor.key_id]) if actor.key_id else Q(pk__in=[])
    if actor.member_id is not None:
        allowed |= Q(allowed_users__contains=[actor.member_id])
    if actor.role is not None:
        allowed |= Q(allowed_roles__contains=[actor.role.value])
    return allowed


def get(*, actor: Actor, agent_id: UUID) -> Agent:
    """One agent; raises AgentNotFound for absent and foreign ones alike."""
    agent = visible(actor=actor).filter(pk=agent_id).first()
    if agent is None:
        raise AgentNotFound
    return agent


def get_to_invoke(*, actor: Actor, agent_id: UUID) -> Agent:
    """One agent that may be asked; raises AgentNotFound, PermissionMissing or AgentDisabled."""
    if has_every(actor=actor) and actor.agent_id in (None, agent_id):
        found = _to_invoke(agent_id=agent_id, workspace_id=actor.workspace_id)
    else:
        found = list(_with_budgeted(visible(actor=actor).filter(pk=agent_id)))
    agent: Agent | None = next(iter(found), None)
    if agent is None:
        raise AgentNotFound
    actor.require(Permission.AGENT_INVOKE)
    if not agent.active:
        raise AgentDisabled
    return agent


@Compiled
def _to_invoke(agent_id: UUID, workspace_id: UUID) -> QuerySet[Agent]:
    return _with_budgeted(Agent.objects.filter(pk=agent_id, workspace_id=workspace_id).order_by())


def _with_budgeted(found: QuerySet[Agent]) -> QuerySet[Agent]:
    """Each with `budgeted`: whether there is a budget over it."""
    return found.annotate(budgeted=budgets.over(agent="pk"))


def visible_tools(*, actor: Actor) -> QuerySet[Tool]:
    """All tools of the workspace for whoever may give them to agents, and for others those of the agents that they may
    have; by name."""
    tools = Tool.objects.filter(workspace_id=actor.workspace_id).order_by("name", "id")
    if actor.may(Permission.AGENT_WRITE):
        return tools
    theirs = AgentTool.objects.filter(tool=OuterRef("pk"), agent__in=visible(actor=actor).order_by())
    return tools.filter(Exists(theirs))


def instructions(*, actor: Actor, agent: Agent) -> str | None:
    """The agent's instructions, for those who may change them; None for all others."""
    return agent.instructions if actor.may(Permission.AGENT_WRITE) else None
