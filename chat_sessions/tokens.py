"""Chat tokens: signed, short-lived, bound to one session. The `id` claim is the session's id on the wire, which
the clients of seed 003 read."""

from datetime import datetime, timedelta

import jwt
from django.conf import settings

from chat_sessions import expiry
from chat_sessions.models import ChatSession
from threadhub.isolation.scope import Door, by_door
from threadhub.lib import ids, signed
from threadhub.lib.errors import Unauthenticated
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import VISITOR

AUDIENCE = "threadhub:chat"


class InvalidChatToken(Unauthenticated):
    """The chat token is invalid or has expired."""

    code = "invalid_chat_token"


def issue(*, session: ChatSession, now: datetime) -> str:
    """A chat token; it lives CHAT_TOKEN_SECONDS, and never longer than its session."""
    expires_at = min(now + timedelta(seconds=settings.CHAT_TOKEN_SECONDS), session.expires_at)
    claims = {"id": session.wire_id, "aud": AUDIENCE, "iat": now, "exp": expires_at, "jti": str(ids.new())}
    return signed.encode(claims)


def authenticate(*, chat_token: str, now: datetime, origin: str | None = None) -> Actor:
    """The visitor behind a chat token, who is noted to be active.

    Raises InvalidChatToken, also once the session is over, and where a session that a web page opened is used by a
    page of another `origin` (the request's header; servers send none).
    """
    session = session_of(chat_token=chat_token, now=now)
    if origin is not None and session.origin not in ("", origin):
        raise InvalidChatToken
    expiry.note_activity(session=session, now=now)
    return actor_of(session)


@by_door(Door.SIGN_IN)
def session_of(*, chat_token: str, now: datetime) -> ChatSession:
    """The living session behind a chat token. Raises InvalidChatToken."""
    try:
        # The times are checked below, against the one `now` of the request.
        claims = signed.decode(chat_token, audience=AUDIENCE, require=["exp", "id"], verify_exp=False, verify_iat=False)
        session_id = ids.decode(ChatSession.PREFIX, claims["id"])
        expires_at = int(claims["exp"])
    except (jwt.PyJWTError, ids.InvalidId, AttributeError, TypeError, ValueError) as error:
        raise InvalidChatToken from error
    session = expiry.living(now=now).filter(pk=session_id).first()
    if session is None or expires_at <= now.timestamp():
        raise InvalidChatToken
    return session


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
