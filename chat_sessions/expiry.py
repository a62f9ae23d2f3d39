"""When a session is over by itself: a fixed time after it was opened, or sooner where its visitor does nothing.

`idle_expires_at` is the earlier of the two, so it alone says when. It moves at most once a minute: a busy visitor is
no hot row.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from chat_sessions.models import ChatSession

ACTIVITY_NOTED_EVERY = timedelta(minutes=1)


def living(*, now: datetime) -> "QuerySet[ChatSession]":
    """The sessions that are neither ended nor expired."""
    return ChatSession.objects.filter(ended_at__isnull=True, expires_at__gt=now, idle_expires_at__gt=now)


def absolute_end(*, now: datetime) -> datetime:
    """When a session that is opened now expires whatever its visitor does."""
    return now + timedelta(seconds=settings.CHAT_SESSION_SECONDS)


def idle_end(*, expires_at: datetime, now: datetime) -> datetime:
    """When a session expires whose visitor does nothing from now on."""
    return min(now + timedelta(seconds=settings.CHAT_SESSION_IDLE_SECONDS), expires_at)


def note_activity(*, session: ChatSession, now: datetime) -> None:
    """The visitor did something. Of several requests at once the first writes: the others find the row moved on."""
    seen, later = session.idle_expires_at, idle_end(expires_at=session.expires_at, now=now)
    due = later - seen >= ACTIVITY_NOTED_EVERY or (later != seen and later == session.expires_at)
    if due and ChatSession.objects.filter(pk=session.pk, idle_expires_at=seen).update(idle_expires_at=later):
        session.idle_expires_at = later


def seconds_left(*, session_id: UUID, now: datetime) -> float:
    """How long the session lives if its visitor does nothing; 0 where it is over."""
    until = living(now=now).filter(pk=session_id).values_list("idle_expires_at", flat=True).first()
    return (until - now).total_seconds() if until is not None else 0.0
