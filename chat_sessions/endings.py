"""Ending sessions before their time. Whoever waits for something of theirs is told at once, in any web process."""

from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from chat_sessions.models import ChatSession
from threadhub import audit
from threadhub.lib import ids
from threadhub.lib.errors import Invalid, Unauthenticated
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission

NAMED_IN_AUDIT = 100  # of sessions ended at once; their count is kept in any case
CHANNEL = "chat_session_ended"  # heard by threads/runs/follow.py


class ChatSessionEnded(Unauthenticated):
    """This chat session has ended."""

    code = "chat_session_ended"


class NothingNamed(Invalid):
    """Name an agent_id, an external_ref or a user_id: not all sessions of the workspace are ended at once."""

    code = "nothing_named"


def end(*, actor: Actor, session: ChatSession, now: datetime) -> None:
    """End a session: its tokens stop working at once; its threads stay. A visitor may end their own."""
    own = actor.session_id == session.pk
    if not own:
        actor.require(Permission.CHAT_SESSION_WRITE)
    reason = ChatSession.EndReason.LOGGED_OUT if own else ChatSession.EndReason.ENDED
    sessions = ChatSession.objects.filter(pk=session.pk, workspace_id=actor.workspace_id)
    end_all(sessions, reason=reason, now=now, by=actor)


def revoke(
    *,
    actor: Actor,
    now: datetime,
    agent_id: UUID | None = None,
    external_ref: str | None = None,
    user_id: UUID | None = None,
) -> int:
    """End all living sessions of the actor's workspace that fit everything named; returns how many.

    Raises NothingNamed, PermissionMissing.
    """
    actor.require(Permission.CHAT_SESSION_WRITE)
    named = {"agent_id": agent_id, "external_ref": external_ref, "user_id": user_id}
    wanted = Q(**{name: value for name, value in named.items() if value is not None})
    if not wanted:
        raise NothingNamed
    sessions = ChatSession.objects.filter(wanted, workspace_id=actor.workspace_id)
    if actor.agent_id is not None:
        sessions = sessions.filter(agent_id=actor.agent_id)
    return end_all(sessions, reason=ChatSession.EndReason.ENDED, now=now, by=actor)


def end_all(sessions: "QuerySet[ChatSession]", *, reason: ChatSession.EndReason, now: datetime, by: audit.Who) -> int:
    """Those of `sessions` (of the workspace of `by`) that have not ended yet, end now; returns how many."""
    with transaction.atomic():
        living = sessions.filter(ended_at__isnull=True).order_by("pk").select_for_update(of=("self",))
        ended = list(living.values_list("pk", flat=True))
        if not ended:
            return 0
        ChatSession.objects.filter(pk__in=ended).update(ended_at=now, updated_at=now, end_reason=reason)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, ended::text) FROM unnest(%s::uuid[]) AS ended", [CHANNEL, ended])
        named = [ids.encode(ChatSession.PREFIX, each) for each in ended[:NAMED_IN_AUDIT]]
        details = {"count": len(ended), "reason": reason.value}
        audit.record(actor=by, action="chat_session.end", ids=named, details=details)
    return len(ended)
