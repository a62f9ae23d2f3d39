"""Places for answers that are waited for or streamed: so many per key, user, session and address, over all processes.

A process holds places of a subject in the database, some more than it needs, and gives them to its own readers without
asking again. It renews and corrects what it holds every few seconds; what a killed process held is free when it has not
been renewed for STREAM_LEASE_SECONDS.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from threadhub.isolation.scope import Door, by_door
from threadhub.lib.errors import Exhausted
from threadhub.limits import sql
from threadhub.limits.subjects import Subject

logger = logging.getLogger(__name__)

SHARES = 16
RETRY_SECONDS = 5
RENEWALS = 3  # within a lease

_process = uuid.uuid4()
_asking = threading.Lock()  # one thread at a time asks the database, so that what is held is what it said last
_lock = threading.Lock()
_used: dict[bytes, int] = {}
_held: dict[bytes, int] = {}
_open = 0  # of the whole process, also of those without a limit


class TooManyStreams(Exhausted):
    """Too many answers are open at once. Please end one, or wait."""

    code = "too_many_streams"

    def __init__(self) -> None:
        super().__init__(retry_after=RETRY_SECONDS)


class Place:
    """What one open answer takes; free again after `release`, however often that is called."""

    def __init__(self, taken: Sequence[bytes]) -> None:
        self._taken: Sequence[bytes] | None = taken

    def release(self) -> None:
        global _open
        with _lock:
            if self._taken is None:
                return
            for subject_id in self._taken:
                _used[subject_id] -= 1
            self._taken = None
            _open -= 1


def take(subjects: Sequence[Subject]) -> Place:
    """A place that counts for each of the subjects. Raises TooManyStreams, and then takes none."""
    global _open
    limited = [subject for subject in subjects if subject.quota > 0]
    with _lock:
        if 0 < settings.STREAMS_PROCESS <= _open:
            raise TooManyStreams
        _open += 1
        for subject in limited:
            _used[subject.id] = _used.get(subject.id, 0) + 1
    place = Place([subject.id for subject in limited])
    try:
        for subject in limited:
            _be_covered(subject)
    except BaseException:
        place.release()
        raise
    return place


def _be_covered(subject: Subject) -> None:
    """Hold as many places as are used, or raise TooManyStreams."""
    if _covered(subject.id):
        return
    with _asking:
        if _covered(subject.id):
            return
        used = _used[subject.id]
        held = sql.hold(
            subject=subject.id,
            process=_process,
            used=used,
            share=max(1, subject.quota // SHARES),
            quota=subject.quota,
            lease=settings.STREAM_LEASE_SECONDS,
        )
        with _lock:
            _held[subject.id] = held
        if held < used:
            raise TooManyStreams


def _covered(subject_id: bytes) -> bool:
    with _lock:
        return _used[subject_id] <= _held.get(subject_id, 0)


@by_door(Door.UPKEEP)
def renew() -> None:
    """Say what this process still holds: what it uses, no more."""
    with _asking:
        with _lock:
            for subject_id in [each for each, number in _used.items() if not number]:
                del _used[subject_id]
            using = dict(_used)
            gone = [each for each in _held if each not in using]
        if not using and not gone:
            return
        sql.renew(process=_process, used=using, gone=gone)
        with _lock:
            for subject_id in gone:
                _held.pop(subject_id, None)
            _held.update(using)


def keep() -> threading.Thread:
    """Renew from now on, as long as this process lives. A fault is logged, and the next time comes all the same."""

    def work() -> None:
        while True:
            time.sleep(settings.STREAM_LEASE_SECONDS / RENEWALS)
            _without_fault(renew)

    thread = threading.Thread(target=work, name="places", daemon=True)
    thread.start()
    return thread


def _without_fault(do: Callable[[], None]) -> None:
    try:
        do()
    except DatabaseError as error:
        logger.warning("places of streams were not renewed: %s", error)
    finally:
        close_old_connections()
