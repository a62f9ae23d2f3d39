"""An agent's door for web pages: its public key, the origins that may use it, and how a page proves who its visitor is.

The public key is no secret: it stands in the page. What keeps others out is the Origin header, which browsers set and
pages cannot; what keeps visitors apart is that none can name a reference without the server's proof.
"""

import hmac
import logging
import re
import secrets as random
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from threadhub import audit
from threadhub.agents import changes
from threadhub.agents.access import AgentNotFound
from threadhub.agents.models import Agent
from threadhub.isolation.scope import Door, by_door
from threadhub.lib import sealed, secrets
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission

logger = logging.getLogger(__name__)

PUBLIC_KEY_PREFIX = "pk_"
PUBLIC_KEY = re.compile(r"pk_[0-9a-f]{32}", re.ASCII)
IDENTITY_PREFIX = "thi_"
# How long proofs by the secret before the present one are taken: time to bring the new one to all servers.
OVERLAP = timedelta(hours=24)
IDENTITY_FIELDS = ("sealed_identity_secret", "sealed_previous_identity_secret", "previous_identity_until")


def lets_in(*, agent: Agent, origin: str | None) -> bool:
    """Whether pages of this origin may open sessions with the agent."""
    return agent.public_key is not None and origin is not None and origin in agent.allowed_origins


@by_door(Door.SIGN_IN)
def with_page(*, public_key: str, origins: Sequence[str]) -> Agent:
    """The active agent of this public key that lets in pages of one of the origins. Raises AgentNotFound, the same for
    each reason."""
    if not PUBLIC_KEY.fullmatch(public_key):
        raise AgentNotFound
    agent = Agent.objects.filter(public_key=public_key, active=True, allowed_origins__overlap=list(origins)).first()
    if agent is None:
        raise AgentNotFound
    return agent


def lets_in_somewhere(*, origin: str) -> bool:
    """Whether pages of this origin may open sessions with any agent: all that can be said before one is named."""
    return Agent.objects.filter(allowed_origins__contains=[origin], public_key__isnull=False, active=True).exists()


@transaction.atomic
def new_public_key(*, actor: Actor, agent: Agent, now: datetime) -> Agent:
    """Give the agent a public key. The one before stops working at once; sessions that it opened go on."""
    agent = _locked(actor, agent)
    told = changes.RENEWED if agent.public_key else changes.MADE
    agent.public_key = f"{PUBLIC_KEY_PREFIX}{random.token_hex(16)}"
    return _saved(actor, agent, now, "public_key", public_key=told)


@transaction.atomic
def withdraw_public_key(*, actor: Actor, agent: Agent, now: datetime) -> Agent:
    """No page opens a session any more. Those that are open cannot be refreshed."""
    agent = _locked(actor, agent)
    told = {"public_key": changes.WITHDRAWN} if agent.public_key else {}
    agent.public_key = None
    return _saved(actor, agent, now, "public_key", **told)


@transaction.atomic
def new_identity_secret(*, actor: Actor, agent: Agent, now: datetime) -> tuple[str, Agent]:
    """A new secret for proofs of identity, which is shown now and never again. The present one, if there is one, is
    taken for OVERLAP more."""
    agent = _locked(actor, agent)
    secret = secrets.new_token(IDENTITY_PREFIX)
    told = changes.RENEWED if agent.has_identity_secret else changes.MADE
    agent.sealed_previous_identity_secret = agent.sealed_identity_secret
    agent.previous_identity_until = now + OVERLAP if agent.sealed_identity_secret else None
    agent.sealed_identity_secret = sealed.seal(secret.encode())
    _saved(actor, agent, now, *IDENTITY_FIELDS, identity_secret=told)
    return secret, agent


@transaction.atomic
def withdraw_identity_secret(*, actor: Actor, agent: Agent, now: datetime) -> Agent:
    """No proof is taken any more, at once."""
    agent = _locked(actor, agent)
    told = {"identity_secret": changes.WITHDRAWN} if agent.has_identity_secret else {}
    agent.sealed_identity_secret = agent.sealed_previous_identity_secret = agent.previous_identity_until = None
    return _saved(actor, agent, now, *IDENTITY_FIELDS, **told)


def proves(*, agent: Agent, external_ref: str, proof: str, expires_at: int | None, now: datetime) -> bool:
    """Whether `proof` is the hex HMAC-SHA256, by one of the agent's secrets, over the reference; for a proof that
    expires over the reference, a NUL and the Unix time in digits. (No reference can hold a NUL, so neither kind of
    proof can pass for the other.)"""
    if expires_at is not None and expires_at <= now.timestamp():
        return False
    signed = external_ref if expires_at is None else f"{external_ref}\0{expires_at}"
    given = proof.encode()
    matches = [
        hmac.compare_digest(hmac.digest(secret, signed.encode(), "sha256").hex().encode(), given)
        for secret in _identity_secrets(agent, now)
    ]
    return any(matches)


def _identity_secrets(agent: Agent, now: datetime) -> list[bytes]:
    kept = [agent.sealed_identity_secret]
    if agent.previous_identity_until is not None and agent.previous_identity_until > now:
        kept.append(agent.sealed_previous_identity_secret)
    return [secret for each in kept if each and (secret := _unsealed(agent, bytes(each)))]


def _unsealed(agent: Agent, kept: bytes) -> bytes | None:
    try:
        return sealed.unseal(kept)
    except sealed.Unreadable:
        logger.warning("the identity secret of %s was sealed under another SECRET_KEY; make a new one", agent.wire_id)
        return None


def _locked(actor: Actor, agent: Agent) -> Agent:
    actor.require(Permission.AGENT_WRITE)
    return Agent.objects.select_for_update().get(pk=agent.pk, workspace_id=actor.workspace_id)


def _saved(actor: Actor, agent: Agent, now: datetime, *fields: str, **told: str) -> Agent:
    """`told`: what became of which key, for the trail; never the key."""
    agent.updated_at = now
    agent.save(update_fields=[*fields, "updated_at"])
    details = {"fields": sorted(fields), **told}
    audit.record(actor=actor, action="agent.update", ids=[agent.wire_id], details=details)
    return agent
