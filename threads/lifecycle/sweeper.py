"""One sweep at a time: the lock, whoever has it, and what makes a sweep stop early."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from django.db import connection

from threadhub.lib.errors import Conflict

LOCK = "SELECT pg_try_advisory_lock(hashtextextended('threadhub.sweep', 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('threadhub.sweep', 0))"
# Taken again in every batch: had the connection been lost meanwhile, another sweeper could be at work.
STILL = "SELECT pg_try_advisory_xact_lock(hashtextextended('threadhub.sweep', 0))"

# The database's process that has it, without taking it: who takes it for a moment could be taken for a sweep.
HOLDER = """
SELECT pid FROM pg_locks, (SELECT hashtextextended('threadhub.sweep', 0) AS key) AS lock
 WHERE locktype = 'advisory' AND granted AND objsubid = 1
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND (classid::bigint, objid::bigint) = ((key >> 32) & 4294967295, key & 4294967295)
"""
# Shared by the batches of one sweep that go on beside its first connection, which may be lost meanwhile.
BESIDE = "SELECT pg_advisory_xact_lock_shared(hashtextextended('threadhub.sweep.beside', 0))"
NONE_BESIDE = "SELECT pg_try_advisory_xact_lock(hashtextextended('threadhub.sweep.beside', 0))"
LEFT_SECONDS = 10.0  # so long a sweep waits for what one that lost its connection has in hand


class SweepRunning(Conflict):
    """Another sweep is running."""

    code = "sweep_running"


@contextmanager
def alone() -> Iterator[None]:
    """No other sweep runs meanwhile. Raises SweepRunning."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        if not cursor.fetchone()[0]:
            raise SweepRunning
    try:
        _wait_for_the_left()
        yield
    finally:
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute(UNLOCK)


def _wait_for_the_left() -> None:
    """Of a sweep that lost the lock with its connection batches may be left. Raises SweepRunning."""
    ends = time.monotonic() + LEFT_SECONDS
    while True:
        with connection.cursor() as cursor:
            cursor.execute(NONE_BESIDE)
            if cursor.fetchone()[0]:
                return
        if time.monotonic() >= ends:
            raise SweepRunning
        time.sleep(0.1)


def is_running() -> bool:
    """Whether a sweep, or a command that is one, is under way."""
    return _holder() is not None


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


def _holder() -> int | None:
    """The process of the database whose session is the sweep's."""
    with connection.cursor() as cursor:
        cursor.execute(HOLDER)
        row = cursor.fetchone()
    return row[0] if row else None


def own_process() -> int:
    """The process of the database that serves this connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        process: int = cursor.fetchone()[0]
    return process


def stay_alone() -> None:
    """For a batch, in its transaction: no other sweep begins before it is over. Raises SweepRunning."""
    with connection.cursor() as cursor:
        cursor.execute(STILL)
        if not cursor.fetchone()[0]:
            raise SweepRunning


def staying_with(process: int) -> Callable[[], None]:
    """For a batch beside: its sweep is still that of this process of the database, and no other begins before the batch
    is over."""

    def stay() -> None:
        with connection.cursor() as cursor:
            cursor.execute(BESIDE)
        if _holder() != process:
            raise SweepRunning

    return stay
