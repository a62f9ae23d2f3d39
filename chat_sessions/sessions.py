"""Chat sessions: opened by a server, found, entered. How they end: endings.py, expiry.py; by a browser: visitors.py."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from chat_sessions import expiry, tokens
from chat_sessions.models import ChatSession
from threadhub import audit
from threadhub.agents import access as agents
from threadhub.agents.models import Agent
from threadhub.lib import secrets
from threadhub.lib.errors import NotFound, Unauthenticated
from threadhub.workspaces import external_refs
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission

REFRESH_PREFIX = "ths_"


class ChatSessionNotFound(NotFound):
    """Chat session not found."""

    code = "chat_session_not_found"


class InvalidRefreshToken(Unauthenticated):
    """The refresh token is unknown, used or expired."""

    code = "invalid_refresh_token"


@dataclass(frozen=True, slots=True)
class Opened:
    """A session with the two secrets its visitor is given."""

    session: ChatSession
    chat_token: str
    refresh_token: str


def open(
    *,
    actor: Actor,
    agent_id: UUID,
    external_ref: str,
    now: datetime,
    allowed_vectors: list[Any] | None = None,
    system_prompt_variables: dict[str, Any] | None = None,
    enabled_tools: list[str] | None = None,
    name: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Opened:
    """A new session of a visitor with an agent, opened by a server that vouches for the reference.
    `enabled_tools` narrows the agent's tools, by name or id.

    Raises AgentNotFound, AgentDisabled, PermissionMissing.
    """
    actor.require(Permission.CHAT_SESSION_WRITE)
    agent = agents.get_to_invoke(actor=actor, agent_id=agent_id)
    return begin(
        by=actor,
        agent=agent,
        external_ref=external_ref,
        now=now,
        allowed_vectors=allowed_vectors or [],
        system_prompt_variables=system_prompt_variables or {},
        enabled_tools=enabled_tools,
        name=name or "",
        metadata=metadata or {},
    )


@transaction.atomic
def begin(*, agent: Agent, external_ref: str, now: datetime, by: Actor | None = None, **fields: Any) -> Opened:
    """As `open`, for callers that asked for leave themselves. `by`: who opens it; None is the visitor."""
    external_refs.check(actor=by or audit.By("nobody", agent.workspace_id), external_ref=external_ref)
    refresh_token = secrets.new_token(REFRESH_PREFIX)
    expires_at = expiry.absolute_end(now=now)
    session = ChatSession.objects.create(
        workspace_id=agent.workspace_id,
        agent=agent,
        external_ref=external_ref,
        refresh_digest=secrets.digest(refresh_token),
        created_at=now,
        updated_at=now,
        expires_at=expires_at,
        idle_expires_at=expiry.idle_end(expires_at=expires_at, now=now),
        **fields,
    )
    opener = by or tokens.actor_of(session)
    audit.record(actor=opener, action="chat_session.open", ids=[session.wire_id, agent.wire_id])
    return Opened(session, tokens.issue(session=session, now=now), refresh_token)


def visible(*, actor: Actor, now: datetime) -> QuerySet[ChatSession]:
    """The living sessions that the actor may see: a key those of its workspace, a visitor only their own."""
    sessions = expiry.living(now=now).select_related("agent").filter(workspace_id=actor.workspace_id)
    if actor.session_id is not None:
        return sessions.filter(pk=actor.session_id)
    if actor.agent_id is not None:
        sessions = sessions.filter(agent_id=actor.agent_id)
    if not agents.has_every(actor=actor):
        sessions = sessions.exclude(agent__in=agents.closed_to(actor=actor).values("pk"))
    return sessions


def get(*, actor: Actor, session_id: UUID, now: datetime) -> ChatSession:
    """A living session that the actor may see: a key those of its workspace, a visitor only their own."""
    session = visible(actor=actor, now=now).filter(pk=session_id).first()
    if session is None:
        raise ChatSessionNotFound
    actor.require(Permission.CHAT_SESSION_READ)
    return session


def enter(*, actor: Actor, session_id: UUID, now: datetime) -> Actor:
    """The session's visitor, on whose behalf `actor` acts in it, with no more leave than either has.

    Raises ChatSessionNotFound, PermissionMissing.
    """
    session = get(actor=actor, session_id=session_id, now=now)
    expiry.note_activity(session=session, now=now)
    visitor = tokens.actor_of(session)
    return replace(visitor, permissions=visitor.permissions & actor.permissions)
