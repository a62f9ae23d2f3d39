"""Opening a chat session together with its first thread."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from chat_sessions import sessions, tokens, visitors
from chat_sessions.models import ChatSession
from threadhub.isolation import scope
from threadhub.workspaces.actor import Actor
from threads.actions import threads
from threads.models import Thread


@dataclass(frozen=True, slots=True)
class OpenedWithThread:
    """A session, its secrets and its first thread."""

    session: ChatSession
    chat_token: str
    refresh_token: str
    thread: Thread


@transaction.atomic
def open_with_thread(
    *, actor: Actor, agent_id: UUID, external_ref: str, now: datetime, **options: Any
) -> OpenedWithThread:
    """As `sessions.open`, and a new thread of its visitor."""
    opened = sessions.open(actor=actor, agent_id=agent_id, external_ref=external_ref, now=now, **options)
    return _with_thread(opened, now)


@transaction.atomic
def open_by_page_with_thread(*, agent_key: str, origin: str | None, now: datetime, **options: Any) -> OpenedWithThread:
    """As `visitors.open_by_page`, and a new thread of its visitor."""
    opened = visitors.open_by_page(agent_key=agent_key, origin=origin, now=now, **options)
    with scope.within(opened.session.workspace_id):  # nobody had said before whose request this is
        return _with_thread(opened, now)


def _with_thread(opened: sessions.Opened, now: datetime) -> OpenedWithThread:
    session = opened.session
    thread = threads.create(actor=tokens.actor_of(session), agent_id=session.agent_id, now=now)
    session.first_thread_id = thread.id
    session.save(update_fields=["first_thread_id"])
    return OpenedWithThread(session, opened.chat_token, opened.refresh_token, thread)


def first_thread(*, session: ChatSession) -> Thread | None:
    """The thread that was made with the session, unless it was deleted."""
    if session.first_thread_id is None:
        return None
    return Thread.objects.visible_to(tokens.actor_of(session)).filter(pk=session.first_thread_id).first()
