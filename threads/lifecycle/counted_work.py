"""How the worker counts what takes long: from the beginning also where a worker died half-way, its progress noted,
until it is done or somebody stops it. For one workspace (counting.py) and for all (system_counting.py).

It changes nothing, so it takes no part in the sweep's lock.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from threads.lifecycle import candidates, failures
from threads.lifecycle.models import AskedWork

logger = logging.getLogger(__name__)

FRESH = timedelta(hours=1)  # so long what was counted is shown, and may be confirmed
LOCK = "SELECT pg_try_advisory_lock(hashtextextended('threadhub.count ' || %s, 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('threadhub.count ' || %s, 0))"

Progress = Callable[[int], None]  # gets how many threads were looked at


class CannotCount(Exception):
    """Why this comes to nothing, for people."""


class _Stopped(Exception):
    """Somebody asked to stop or removed what it is about, or the worker ends."""


def is_whole(job: AskedWork, now: datetime) -> bool:
    """Whether it was counted lately, and to its end."""
    return job.status == AskedWork.Status.DONE and job.ended == "done" and now - job.cutoff < FRESH


def has_failed(job: AskedWork, now: datetime) -> bool:
    """Whether it ended without a plan. Somebody stopped it, perhaps: asking again is for people, not for a page."""
    return not job.live and job.ended != "done" and now - job.cutoff < FRESH


def do_each(
    waiting: "QuerySet[Any]", *, count: Callable[[Any, Progress], dict[str, Any]], stop: Event | None = None
) -> int:
    """Make every count that waits and that nobody has in hand; returns how many. `count` returns the plan to keep."""
    stop = stop or Event()
    done = 0
    for job in list(waiting.order_by("created_at", "id")):
        with _alone(job) as mine:
            if mine and not stop.is_set() and waiting.filter(pk=job.pk).exists():
                _do(job, count, stop)
                done += 1
    return done


def _do(job: AskedWork, count: Callable[[Any, Progress], dict[str, Any]], stop: Event) -> None:
    mine = type(job)._default_manager.filter(pk=job.pk)
    mine.update(status=AskedWork.Status.RUNNING, started_at=candidates.database_now(), done=0)

    def note(looked_at: int) -> None:
        there = mine.update(done=min(looked_at, job.planned))
        if not there or stop.is_set() or mine.filter(stop_asked=True).exists():
            raise _Stopped

    try:
        kept = count(job, note)
    except CannotCount as error:
        _end(mine, AskedWork.Status.FAILED, ended="failed", error=str(error))
    except _Stopped:
        if not stop.is_set():
            _end(mine, AskedWork.Status.DONE, ended="stopped")
    except Exception as error:  # whatever it is, it must not keep the others from theirs
        if not connection.is_usable():
            raise
        logger.exception("the count %s failed", job.pk)
        _end(mine, AskedWork.Status.FAILED, ended="failed", error=failures.sentence(error))
    else:
        _end(mine, AskedWork.Status.DONE, ended="done", plan=kept, done=job.planned)


def _end(mine: "QuerySet[Any]", status: str, **fields: object) -> None:
    mine.update(status=status, finished_at=candidates.database_now(), **fields)


@contextmanager
def _alone(job: AskedWork) -> Iterator[bool]:
    """Whether no other worker makes this count."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [str(job.pk)])
        (mine,) = cursor.fetchone()
    try:
        yield bool(mine)
    finally:
        if mine and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute(UNLOCK, [str(job.pk)])
