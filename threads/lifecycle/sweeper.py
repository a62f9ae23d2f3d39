"""One sweep at a time: the lock, the batches, and what makes a sweep stop early."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from django.db import connection, transaction

from threadhub.lib.errors import Conflict
from threads.lifecycle.candidates import Candidate, Key, Query, load

LOCK = "SELECT pg_try_advisory_lock(hashtextextended('threadhub.sweep', 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('threadhub.sweep', 0))"
# Taken again in every batch: had the connection been lost meanwhile, another sweeper could be at work.
STILL = "SELECT pg_try_advisory_xact_lock(hashtextextended('threadhub.sweep', 0))"

# Whether anybody has it, without taking it: another who takes it for a moment could be taken for a sweep.
HELD = """
SELECT EXISTS (
    SELECT FROM pg_locks, (SELECT hashtextextended('threadhub.sweep', 0) AS key) AS lock
     WHERE locktype = 'advisory' AND granted AND objsubid = 1
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (classid::bigint, objid::bigint) = ((key >> 32) & 4294967295, key & 4294967295))
"""


class SweepRunning(Conflict):
    """Another sweep is running."""

    code = "sweep_running"


@dataclass(slots=True)
class Bounds:
    """How far a sweep goes, or one after the other. `pause` in seconds, between batches."""

    limit: int | None = None
    batch_size: int = 500
    max_seconds: float | None = None
    pause: float = 0.05
    stop: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)

    @property
    def over(self) -> str | None:
        """Why nothing more is begun: `stopped` or `time`."""
        if self.stop.is_set():
            return "stopped"
        if self.max_seconds is not None and time.monotonic() - self.began >= self.max_seconds:
            return "time"
        return None


@contextmanager
def alone() -> Iterator[None]:
    """No other sweep runs meanwhile. Raises SweepRunning."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        if not cursor.fetchone()[0]:
            raise SweepRunning
    try:
        yield
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute(UNLOCK)


def is_running() -> bool:
    """Whether a sweep, or a command that is one, is under way."""
    with connection.cursor() as cursor:
        cursor.execute(HELD)
        return bool(cursor.fetchone()[0])


@contextmanager
def stopping_on_signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and Ctrl-C end the sweep after the batch in hand."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def batches(
    *,
    query: Query,
    bounds: Bounds,
    work: Callable[[list[Candidate], int | None], int],
    progress: Callable[[int], Any] = lambda done: None,
) -> tuple[int, str]:
    """Give `work` the candidates batch by batch, each batch locked, read anew, and one transaction. `work` gets how
    many it may still take (None: all) and returns how many it took. Returns how many in all, and why it ended: `done`,
    `limit`, `time` or `stopped`."""
    after: Key | None = None
    taken = 0
    while True:
        if bounds.over is not None:
            return taken, bounds.over
        if bounds.limit is not None and taken >= bounds.limit:
            return taken, "limit"
        left = None if bounds.limit is None else bounds.limit - taken
        with transaction.atomic():
            _stay_alone()
            keys = query.keys(after=after, limit=bounds.batch_size, lock=True)
            if keys:
                batch = load(workspace_id=query.workspace_id, thread_ids=[key[1] for key in keys])
                taken += work(batch, left)
        if not keys:
            return taken, "done"
        after = keys[-1]
        progress(taken)
        bounds.stop.wait(bounds.pause)


def _stay_alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute(STILL)
        if not cursor.fetchone()[0]:
            raise SweepRunning
