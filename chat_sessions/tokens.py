"""Chat tokens: signed, short-lived, bound to one session. The `id` claim is the session's id on the wire, which
the clients of seed 003 read."""

from datetime import datetime, timedelta

import jwt
from django.conf import settings

from chat_sessions.models import ChatSession
from threadhub.lib import ids
from threadhub.lib.errors import Unauthenticated
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import VISITOR

ALGORITHM = "HS256"
AUDIENCE = "threadhub:chat"


class InvalidChatToken(Unauthenticated):
    """The chat token is invalid or has expired."""

    code = "invalid_chat_token"


def issue(*, session: ChatSession, now: datetime) -> str:
    """A chat token; it lives CHAT_TOKEN_SECONDS, and never longer than its session."""
    expires_at = min(now + timedelta(seconds=settings.CHAT_TOKEN_SECONDS), session.expires_at)
    claims = {"id": session.wire_id, "aud": AUDIENCE, "iat": now, "exp": expires_at, "jti": str(ids.new())}
    return jwt.encode(claims, settings.SECRET_KEY, algorithm=ALGORITHM)


def authenticate(*, chat_token: str, now: datetime) -> Actor:
    """The visitor behind a chat token. Raises InvalidChatToken, also once the session was ended."""
    try:
        claims = jwt.decode(
            chat_token,
            settings.SECRET_KEY,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            options={"require": ["exp", "id"]},
        )
        session_id = ids.decode(ChatSession.PREFIX, claims["id"])
    except (jwt.PyJWTError, ids.InvalidId, AttributeError) as error:
        raise InvalidChatToken from error
    session = ChatSession.objects.filter(pk=session_id, ended_at__isnull=True, expires_at__gt=now).first()
    if session is None:
        raise InvalidChatToken
    return actor_of(session)


def actor_of(session: ChatSession) -> Actor:
    """The visitor of a session, as an actor."""
    return Actor(
        kind="session",
        workspace_id=session.workspace_id,
        permissions=VISITOR,
        user_id=session.user_id,
        session_id=session.id,
        agent_id=session.agent_id,
        external_ref=session.external_ref,
    )
