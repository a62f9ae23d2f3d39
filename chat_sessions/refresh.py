"""New tokens for a session's refresh token, which is spent by it.

Each token follows from the one before it, by a key of ours: so the same token always leads to the same next one, and
a spent token can be told from nonsense though nothing of it is kept.
"""

import hmac
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from chat_sessions import endings, expiry, tokens
from chat_sessions.models import ChatSession
from chat_sessions.sessions import REFRESH_PREFIX, InvalidRefreshToken, Opened
from threadhub import audit
from threadhub.agents import browsers
from threadhub.isolation.scope import Door, by_door
from threadhub.lib import secrets, signed

# Two tabs that refresh at once, or a client that never got its answer: the token just spent still gives its successor.
REUSE_GRACE = timedelta(seconds=10)
# A spent token is known again for so many refreshes; an older one is only refused.
REMEMBERED = 1_000


@by_door(Door.SIGN_IN)
def refresh(*, session_id: UUID, refresh_token: str, now: datetime, origin: str | None = None) -> Opened:
    """New tokens; `origin` is the asking page's, None where a server asks. Raises InvalidRefreshToken.

    A token that comes back after its use, and after the grace, was copied by somebody: then the session ends, and with
    it all its tokens. Nonsense ends nothing: anybody could send it.
    """
    if not secrets.looks_whole(REFRESH_PREFIX, refresh_token):
        raise InvalidRefreshToken
    with transaction.atomic():
        found = expiry.living(now=now).select_for_update(of=("self",)).select_related("agent")
        session = found.filter(pk=session_id).first()
        if session is None or not _from_its_page(session, origin):
            raise InvalidRefreshToken
        refreshes_ago = _refreshes_ago(session, refresh_token)
        if refreshes_ago == 0:
            return _renewed(session, refresh_token, now)
        if refreshes_ago == 1 and session.refreshed_at is not None and now - session.refreshed_at <= REUSE_GRACE:
            return Opened(session, tokens.issue(session=session, now=now), successor(refresh_token))
        if refreshes_ago is not None:
            endings.end_all(
                ChatSession.objects.filter(pk=session.pk),
                reason=ChatSession.EndReason.REFRESH_REUSED,
                now=now,
                by=audit.By("nobody", session.workspace_id),
            )
    raise InvalidRefreshToken


def _from_its_page(session: ChatSession, origin: str | None) -> bool:
    """Whether a session that a web page opened is refreshed by that page, and the agent still lets it in."""
    if not session.origin:
        return True
    return origin in (None, session.origin) and browsers.lets_in(agent=session.agent, origin=session.origin)


def _renewed(session: ChatSession, refresh_token: str, now: datetime) -> Opened:
    next_token = successor(refresh_token)
    session.refresh_digest = secrets.digest(next_token)
    session.refreshed_at = session.updated_at = now
    session.refresh_count += 1
    session.idle_expires_at = expiry.idle_end(expires_at=session.expires_at, now=now)
    session.save(update_fields=["refresh_digest", "refreshed_at", "updated_at", "refresh_count", "idle_expires_at"])
    audit.record(actor=tokens.actor_of(session), action="chat_session.refresh", ids=[session.wire_id])
    return Opened(session, tokens.issue(session=session, now=now), next_token)


def successor(refresh_token: str) -> str:
    """The token that follows this one."""
    return _successor(refresh_token, settings.SECRET_KEY)


def _successor(refresh_token: str, secret_key: str) -> str:
    key = f"chat session refresh:{secret_key}".encode()
    return secrets.token_of(REFRESH_PREFIX, hmac.digest(key, refresh_token.encode(), "sha256"))


def _refreshes_ago(session: ChatSession, refresh_token: str) -> int | None:
    """How many refreshes ago this token was the session's: 0 for the present one; None for none of its."""
    ages = (_age(session, refresh_token, secret_key) for secret_key in signed.secret_keys())
    return next((age for age in ages if age is not None), None)


def _age(session: ChatSession, refresh_token: str, secret_key: str) -> int | None:
    present = bytes(session.refresh_digest)
    for ago in range(min(session.refresh_count, REMEMBERED) + 1):
        if hmac.compare_digest(secrets.digest(refresh_token), present):
            return ago
        refresh_token = _successor(refresh_token, secret_key)
    return None
