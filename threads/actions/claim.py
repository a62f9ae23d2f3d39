"""A visitor signs in: the threads of their chat session become theirs, once, and only because they asked."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from chat_sessions import tokens
from chat_sessions.models import ChatSession
from chat_sessions.sessions import ChatSessionNotFound
from threadhub import audit
from threadhub.lib import ids
from threadhub.lib.errors import Conflict, Invalid
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import Membership, User
from threadhub.workspaces.permissions import Permission
from threads.models import Thread


class ChatSessionClaimed(Conflict):
    """This chat session was claimed before."""

    code = "chat_session_claimed"


class NotAnonymous(Conflict):
    """This chat session belongs to a known visitor; only a workspace's key may give it to a user."""

    code = "chat_session_not_anonymous"


@dataclass(frozen=True, slots=True)
class Claimed:
    """The session, now of a user, and how many threads became theirs."""

    session: ChatSession
    threads: int


@transaction.atomic
def claim(*, actor: Actor, session_id: UUID, chat_token: str, now: datetime, user_id: UUID | None = None) -> Claimed:
    """Give a visitor's threads with the session's agent to the user who holds the session's chat token.

    A person claims for themselves. A workspace's key says for whom (`user_id`), and needs CHAT_SESSION_WRITE; it alone
    may claim a session whose visitor was known before, since their reference is its server's. Raises InvalidChatToken,
    ChatSessionNotFound, ChatSessionClaimed, NotAnonymous, Invalid, PermissionMissing.
    """
    actor.require(Permission.THREAD_WRITE)
    by_server = actor.kind == "key" and not actor.personal_key
    claimant = _member(actor, user_id) if by_server else _self(actor, user_id)
    found = tokens.session_of(chat_token=chat_token, now=now)
    if found.pk != session_id or found.workspace_id != actor.workspace_id:
        raise ChatSessionNotFound
    session = ChatSession.objects.select_for_update(of=("self",)).get(pk=found.pk, workspace_id=actor.workspace_id)
    if session.user_id is not None or session.claimed_at is not None:
        raise ChatSessionClaimed
    if session.ended_at is not None:  # while this waited for the row
        raise tokens.InvalidChatToken
    if not session.anonymous and not by_server:
        raise NotAnonymous
    session.user_id = claimant
    session.claimed_at = session.updated_at = now
    session.save(update_fields=["user_id", "claimed_at", "updated_at"])
    threads = _threads_of(session).update(user_id=claimant, updated_at=now)
    whose = [session.wire_id, ids.encode(User.PREFIX, claimant)]
    audit.record(actor=actor, action="chat_session.claim", ids=whose, details={"threads": threads})
    return Claimed(session, threads)


def _threads_of(session: ChatSession) -> "QuerySet[Thread]":
    """What the visitor made, in any session of theirs with this agent, as far as it is nobody's yet."""
    return Thread.objects.filter(
        workspace_id=session.workspace_id,
        agent_id=session.agent_id,
        external_ref=session.external_ref,
        origin=Thread.Origin.CHAT_SESSION,
        user_id__isnull=True,
    )


def _self(actor: Actor, user_id: UUID | None) -> UUID:
    if user_id is not None and user_id != actor.user_id:
        raise Invalid.at("body", "user_id", msg="Only a workspace's key claims for somebody else.")
    if actor.user_id is None:
        raise ChatSessionNotFound
    return actor.user_id


def _member(actor: Actor, user_id: UUID | None) -> UUID:
    actor.require(Permission.CHAT_SESSION_WRITE)
    if user_id is None:
        raise Invalid.at("body", "user_id", msg="A workspace's key says which user claims.")
    if not Membership.objects.filter(user_id=user_id, workspace_id=actor.workspace_id).exists():
        raise Invalid.at("body", "user_id", msg="There is no such user in this workspace.")
    return user_id
