"""The candidates of a sweep, batch by batch: in turn, a few at a time, as far as its bounds go."""

import threading
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import Error, connection, transaction

from threads.lifecycle import sweeper
from threads.lifecycle.candidates import Key, Query

# What is done with a batch: the threads' ids, whose rows are locked, and how many it may still take (None: all). What
# they are it reads itself, once nothing that it goes by can change. Returns how many it took.
Work = Callable[[list[UUID], int | None], int]


@dataclass(slots=True)
class Bounds:
    """How far a sweep goes, or one after the other. `pause` in seconds, between batches; `parallel`: how many of them
    at a time, where nothing limits how many threads may be taken."""

    limit: int | None = None
    batch_size: int = 500
    parallel: int = 1
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


def through(
    *,
    query: Query,
    bounds: Bounds,
    work: Work,
    progress: Callable[[int], Any] = lambda done: None,
) -> tuple[int, str]:
    """Give `work` the candidates batch by batch, each batch locked and one transaction; where `bounds` have several
    batches at a time, it is called in several threads. Returns how many it took in all, and why it ended: `done`,
    `limit`, `time` or `stopped`."""
    walk = _Walk(query, bounds, work, progress)
    walk.to_the_end()
    return walk.taken, walk.ended


class _Walk:
    """Candidates, from the first to the last. Whoever goes along it takes the next batch in turn; others go along, each
    on a connection of its own, once there was a batch that may not be the last."""

    def __init__(
        self,
        query: Query,
        bounds: Bounds,
        work: Work,
        progress: Callable[[int], Any],
    ) -> None:
        self.query, self.bounds, self.work, self.progress = query, bounds, work, progress
        self.after: Key | None = None
        self.taken = 0
        self.ended = ""
        self.turn = threading.Lock()
        # What the caller's transaction has done others do not see, and a limit is shared out batch by batch.
        alone = connection.in_atomic_block or bounds.limit is not None
        self.beside = [] if alone else [copy_context() for _ in range(bounds.parallel - 1)]
        self.helpers: list[threading.Thread] = []
        self.failures: list[BaseException] = []

    def to_the_end(self) -> None:
        """Or as far as the bounds go. Raises what `work` raises, whoever called it."""
        try:
            self._go(sweeper.stay_alone)
        except BaseException as error:  # noqa: BLE001  raised below, once the others are through
            self.failures.insert(0, error)
        for helper in self.helpers:
            helper.join()
        if self.failures:
            raise self.failures[0]

    def _go(self, stay: Callable[[], None]) -> None:
        while True:
            with transaction.atomic():
                with self.turn:
                    keys = self._next(stay)
                if not keys:
                    return
                left = None if self.bounds.limit is None else self.bounds.limit - self.taken
                count = self._take(keys, left)
            with self.turn:
                self.taken += count
                self.progress(self.taken)
            self.bounds.stop.wait(self.bounds.pause)

    def _take(self, keys: list[Key], left: int | None) -> int:
        try:
            return self.work([key[1] for key in keys], left)
        except BaseException:
            self.ended = "failed"  # from now on, and not only once it is rolled back, nothing more is begun
            raise

    def _next(self, stay: Callable[[], None]) -> list[Key]:
        """The next batch, locked; empty where it is over."""
        self.ended = self.ended or self._over()
        if self.ended or self.failures:
            return []
        stay()
        keys = self.query.keys(after=self.after, limit=self.bounds.batch_size, lock=True)
        if not keys:
            self.ended = "done"
            return []
        self.after = keys[-1]
        if len(keys) == self.bounds.batch_size:
            self._call_helpers()
        return keys

    def _over(self) -> str:
        if self.bounds.over is not None:
            return self.bounds.over
        return "limit" if self.bounds.limit is not None and self.taken >= self.bounds.limit else ""

    def _call_helpers(self) -> None:
        if not self.beside:
            return
        stay = sweeper.staying_with(sweeper.own_process())
        while self.beside:
            context = self.beside.pop()
            helper = threading.Thread(target=self._help, args=(context, stay), name="batches", daemon=True)
            helper.start()
            self.helpers.append(helper)

    def _help(self, context: Context, stay: Callable[[], None]) -> None:
        try:
            connection.ensure_connection()
        except Error:  # the server has no more of them: then fewer are at work
            return
        try:
            context.run(self._go, stay)
        except BaseException as error:  # noqa: BLE001  told by the thread that called
            self.failures.append(error)
        finally:
            connection.close()
