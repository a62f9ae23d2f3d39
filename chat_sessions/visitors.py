"""Sessions that a web page opens for its visitor, by an agent's public key: no server takes part.

A visitor is anonymous, under a reference that we make and nobody can guess; or is who the page's server says, by a
proof over their reference. A reference without proof is refused: it would open another visitor's threads.
"""

import secrets as random
from datetime import datetime
from typing import Any

from django.conf import settings

from chat_sessions import expiry, sessions
from chat_sessions.sessions import Opened
from threadhub import audit
from threadhub.agents import browsers
from threadhub.agents.access import AgentDisabled
from threadhub.agents.models import Agent
from threadhub.isolation.scope import Door, by_door
from threadhub.lib.errors import Exhausted, Forbidden, Unauthenticated
from threadhub.limits import subjects

ANONYMOUS_PREFIX = "visitor_"
RETRY_SECONDS = 60


class InvalidAgentKey(Unauthenticated):
    """This agent key is unknown or was withdrawn."""

    code = "invalid_agent_key"


class OriginNotAllowed(Forbidden):
    """Pages of this origin may not open chat sessions with this agent."""

    code = "origin_not_allowed"


class IdentityRequired(Unauthenticated):
    """This agent takes visitors with a proof of their identity only: send external_ref and identity_proof."""

    code = "identity_required"


class InvalidIdentityProof(Unauthenticated):
    """The proof of identity does not fit this external_ref, or has expired."""

    code = "invalid_identity_proof"


class TooManyChatSessions(Exhausted):
    """Too many chat sessions with this agent are open from this address."""

    code = "too_many_chat_sessions"


@by_door(Door.SIGN_IN)
def open_by_page(
    *,
    agent_key: str,
    origin: str | None,
    now: datetime,
    external_ref: str | None = None,
    identity_proof: str | None = None,
    identity_expires_at: int | None = None,
    name: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Opened:
    """A new session, bound to the page's origin.

    Raises InvalidAgentKey, OriginNotAllowed, AgentDisabled, IdentityRequired, InvalidIdentityProof,
    TooManyChatSessions.
    """
    agent = Agent.objects.filter(public_key=agent_key).first()
    if agent is None:
        raise InvalidAgentKey
    if origin is None or not browsers.lets_in(agent=agent, origin=origin):
        raise OriginNotAllowed
    if not agent.active:
        raise AgentDisabled
    proved = external_ref is not None and identity_proof is not None
    if not proved and (agent.identity_required or external_ref is not None):
        raise IdentityRequired
    if identity_proof is not None and not (
        external_ref is not None
        and browsers.proves(
            agent=agent, external_ref=external_ref, proof=identity_proof, expires_at=identity_expires_at, now=now
        )
    ):
        raise InvalidIdentityProof
    return sessions.begin(
        agent=agent,
        external_ref=external_ref if external_ref is not None else f"{ANONYMOUS_PREFIX}{random.token_urlsafe(24)}",
        anonymous=external_ref is None,
        opened_from=_place_of_anonymous(agent, now) if external_ref is None else None,
        origin=origin,
        name=name or "",
        metadata=metadata or {},
        now=now,
    )


def _place_of_anonymous(agent: Agent, now: datetime) -> bytes | None:
    """The digest of the present request's address, unless too many anonymous sessions are open from there. Raises
    TooManyChatSessions. Those that open at the same moment are not seen: the limit is against many, not exact."""
    network = subjects.network_of(audit.origin.get().address)
    most = settings.CHAT_SESSIONS_PER_ADDRESS
    if not network or most <= 0:
        return None
    place = subjects.digest("anonymous", network)
    # By the index session_by_address.
    living = expiry.living(now=now).filter(agent=agent, opened_from=place, ended_at=None).order_by()
    if living[:most].count() >= most:
        raise TooManyChatSessions(retry_after=RETRY_SECONDS)
    return place
