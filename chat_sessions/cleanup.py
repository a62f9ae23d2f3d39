"""Sweeping up: sessions that expired are ended, rows of those that ended long ago are removed. Threads stay; how long
they live is their retention's business.

One sweeper at a time, in small transactions; rows that somebody holds are left for the next sweep.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from chat_sessions.endings import end_all
from chat_sessions.models import ChatSession
from threadhub.lib.errors import Conflict
from threadhub.workspaces import actor as actors

LOCK = 0x7468_6373  # of this sweep, among advisory locks
BATCH = 500


class AnotherSweep(Conflict):
    """Another sweep of chat sessions is going on."""

    code = "another_sweep"


@dataclass(slots=True)
class Swept:
    """How many sessions a sweep has ended, and how many rows it has removed; or would, when it is dry."""

    ended: int = 0
    removed: int = 0
    complete: bool = True  # False: a limit was reached before the end


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one sweep may do. `older_than` is counted from a session's end, `inactive_for` from when it was over, or
    would have been as nobody did anything in it."""

    workspace_id: UUID | None = None
    agent_id: UUID | None = None
    user_id: UUID | None = None
    external_ref: str | None = None
    inactive_for: timedelta | None = None
    older_than: timedelta | None = None
    limit: int | None = None
    batch_size: int = BATCH
    max_seconds: float | None = None


def sweep(*, now: datetime, bounds: Bounds | None = None, dry_run: bool = False) -> Swept:
    """End what expired, remove what ended long ago. Raises AnotherSweep. A dry run only counts."""
    bounds = bounds or Bounds()
    if dry_run:
        return _counted(now, bounds)
    with _alone():
        swept, budget = Swept(), _Budget(bounds)
        for number in _batches(_expired(now, bounds), budget, lambda found: _end(found, now)):
            swept.ended += number
        for number in _batches(_long_ended(now, bounds), budget, _remove):
            swept.removed += number
        swept.complete = not budget.spent
        return swept


def _expired(now: datetime, bounds: Bounds) -> "QuerySet[ChatSession]":
    """By the index session_expiring."""
    expired = ChatSession.objects.filter(ended_at=None, idle_expires_at__lte=now)
    return _within(expired, now, bounds).order_by("idle_expires_at", "pk")


def _long_ended(now: datetime, bounds: Bounds) -> "QuerySet[ChatSession]":
    """By the index session_ended. What this very sweep has ended is not among them."""
    kept = bounds.older_than
    if kept is None:
        kept = timedelta(seconds=settings.CHAT_SESSION_KEPT_SECONDS)
    ended = ChatSession.objects.filter(ended_at__isnull=False, ended_at__lt=now - kept)
    return _within(ended, now, bounds).order_by("ended_at", "pk")


def _within(sessions: "QuerySet[ChatSession]", now: datetime, bounds: Bounds) -> "QuerySet[ChatSession]":
    for name in ("workspace_id", "agent_id", "user_id", "external_ref"):
        value = getattr(bounds, name)
        if value is not None:
            sessions = sessions.filter(**{name: value})
    if bounds.inactive_for is not None:
        since = now - bounds.inactive_for
        sessions = sessions.filter(Q(idle_expires_at__lte=since) | Q(ended_at__lte=since))
    return sessions


def _counted(now: datetime, bounds: Bounds) -> Swept:
    most = None if bounds.limit is None else bounds.limit + 1  # what is beyond is not counted to its end
    ended, removed = (found.values("pk")[:most].count() for found in (_expired(now, bounds), _long_ended(now, bounds)))
    if bounds.limit is None or ended + removed <= bounds.limit:
        return Swept(ended, removed)
    ended = min(ended, bounds.limit)
    return Swept(ended, bounds.limit - ended, complete=False)


class _Budget:
    """How many rows and seconds are left."""

    def __init__(self, bounds: Bounds) -> None:
        self.batch_size = bounds.batch_size
        self.left = bounds.limit
        self.until = time.monotonic() + bounds.max_seconds if bounds.max_seconds is not None else None
        self.spent = False

    def next_batch(self) -> int:
        """How many rows the next batch may have; 0 where nothing is left, which is noted."""
        late = self.until is not None and time.monotonic() >= self.until
        size = 0 if late else self.batch_size if self.left is None else min(self.batch_size, self.left)
        self.spent = self.spent or size == 0
        return size

    def take(self, number: int) -> None:
        if self.left is not None:
            self.left -= number


def _batches(sessions: "QuerySet[ChatSession]", budget: _Budget, do: Callable[[list[UUID]], int]) -> Iterator[int]:
    """Do it to one batch after the other, each in a transaction of its own, until there are no more."""
    while sessions.exists() and (size := budget.next_batch()):
        with transaction.atomic():
            free = sessions.select_for_update(of=("self",), skip_locked=True)
            found = list(free.values_list("pk", flat=True)[:size])
            done = do(found)
        budget.take(done)
        yield done
        if len(found) < size:
            return  # the others are held by somebody, or there are none


def _end(found: list[UUID], now: datetime) -> int:
    """For the visitor it makes no difference: an expired session is over already. Its end is now written down."""
    sessions = ChatSession.objects.filter(pk__in=found)
    ended = 0
    for workspace_id in set(sessions.order_by().values_list("workspace_id", flat=True)):
        by, theirs = actors.system(workspace_id), sessions.filter(workspace_id=workspace_id)
        expired = theirs.filter(expires_at__lte=now)
        ended += end_all(expired, reason=ChatSession.EndReason.EXPIRED, now=now, by=by)
        ended += end_all(theirs, reason=ChatSession.EndReason.IDLE, now=now, by=by)
    return ended


def _remove(found: list[UUID]) -> int:
    """Threads let go of the session by PostgreSQL's own SET NULL (migration 0002 of threads)."""
    removed: int = ChatSession.objects.filter(pk__in=found)._raw_delete(using="default")
    return removed


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the advisory lock of this sweep. Raises AnotherSweep. It belongs to the connection, so it ends with it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            raise AnotherSweep
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
