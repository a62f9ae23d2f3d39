"""A chat session's life: opened, refreshed, ended."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from chat_sessions import tokens
from chat_sessions.models import ChatSession
from threadhub.agents import access as agents
from threadhub.lib import secrets
from threadhub.lib.errors import NotFound, Unauthenticated
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
) -> Opened:
    """A new session of a visitor with an agent. Raises AgentNotFound, AgentDisabled, PermissionMissing."""
    actor.require(Permission.CHAT_SESSION_WRITE)
    agent = agents.get_to_invoke(actor=actor, agent_id=agent_id)
    refresh_token = secrets.new_token(REFRESH_PREFIX)
    session = ChatSession.objects.create(
        workspace_id=actor.workspace_id,
        agent=agent,
        external_ref=external_ref,
        allowed_vectors=allowed_vectors or [],
        system_prompt_variables=system_prompt_variables or {},
        refresh_digest=secrets.digest(refresh_token),
        created_at=now,
        updated_at=now,
        expires_at=now + timedelta(seconds=settings.CHAT_SESSION_SECONDS),
    )
    return Opened(session, tokens.issue(session=session, now=now), refresh_token)


def visible(*, actor: Actor, now: datetime) -> QuerySet[ChatSession]:
    """The living sessions that the actor may see: a key those of its workspace, a visitor only their own."""
    sessions = ChatSession.objects.select_related("agent").filter(
        workspace_id=actor.workspace_id, ended_at__isnull=True, expires_at__gt=now
    )
    return sessions if actor.session_id is None else sessions.filter(pk=actor.session_id)


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
    visitor = tokens.actor_of(session)
    return replace(visitor, permissions=visitor.permissions & actor.permissions)


def refresh(*, session_id: UUID, refresh_token: str, now: datetime) -> Opened:
    """New tokens for the session's refresh token, which is void from then on. Raises InvalidRefreshToken."""
    with transaction.atomic():
        session = (
            ChatSession.objects.select_for_update()
            .filter(
                pk=session_id,
                refresh_digest=secrets.digest(refresh_token),
                ended_at__isnull=True,
                expires_at__gt=now,
            )
            .first()
        )
        if session is None:
            raise InvalidRefreshToken
        next_token = secrets.new_token(REFRESH_PREFIX)
        session.refresh_digest = secrets.digest(next_token)
        session.updated_at = now
        session.save(update_fields=["refresh_digest", "updated_at"])
    return Opened(session, tokens.issue(session=session, now=now), next_token)


def end(*, actor: Actor, session: ChatSession, now: datetime) -> None:
    """End a session: its tokens stop working at once; its threads stay."""
    actor.require(Permission.CHAT_SESSION_WRITE)
    ChatSession.objects.filter(pk=session.pk, ended_at__isnull=True).update(ended_at=now, updated_at=now)
