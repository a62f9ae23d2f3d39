"""What all runs of a worker have said, stored together: while one statement is under way, or its turn has not come,
what others say gathers for the next. By itself, each piece of each run was a statement and a thread's turn.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID
from weakref import WeakKeyDictionary

from django.conf import settings

from threadhub.isolation import scope
from threadhub.lib.asynchronous import in_thread
from threadhub.lib.pace import Pace
from threads.runs import sql
from threads.runs.sql import Said

# Seconds from one statement to the next, on the average: a transaction costs more than what it stores. So many more
# than are due go at once.
APART, AT_ONCE = 0.02, 5


@dataclass(slots=True)
class _Waiting:
    """What is to be stored of a run, and who waits for that: more than one where the one before gave up."""

    said: Said
    futures: list[asyncio.Future[bool]] = field(default_factory=list)

    def add(self, said: Said, future: asyncio.Future[bool]) -> None:
        self.said = self.said._replace(events=[*self.said.events, *said.events])
        self.futures.append(future)

    def done(self, stored: bool) -> None:
        for future in self.futures:
            if not future.done():
                future.set_result(stored)

    def failed(self, error: BaseException) -> None:
        for future in self.futures:
            if isinstance(error, asyncio.CancelledError):
                future.cancel()
            elif not future.done():
                future.set_exception(error)


class Together:
    """Of one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, _Waiting] = {}
        self._storing: asyncio.Task[None] | None = None
        self._pace = Pace(APART, AT_ONCE)
        self._in_hand = False  # the statement of all
        self._by_themselves: set[asyncio.Task[None]] = set()  # a loop holds its tasks weakly

    def store(self, said: Said) -> "asyncio.Future[bool]":
        """Store events of a running run, and see that its lease is long enough; False when the run is over. What was
        given is stored even where nobody waits for it any more."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(said.run_id, _Waiting(said._replace(events=()))).add(said, future)
        if self._storing is None or self._storing.done():
            self._storing = asyncio.create_task(self._store_all())
        return future

    @property
    def under_way(self) -> bool:
        """Whether a statement is, of all or of one by itself."""
        return self._in_hand or bool(self._by_themselves)

    async def _store_all(self) -> None:
        batch = list[_Waiting]()
        try:
            while self._waiting:
                await self._pace.turn()
                batch, self._waiting = list(self._waiting.values()), {}
                await self._store_batch(batch)
                batch = []
        except BaseException as error:  # the loop ends: who waits would wait for ever
            for each in [*batch, *self._waiting.values()]:
                each.failed(error)
            self._waiting = {}
            raise
        finally:
            self._storing = None  # a task holds its loop, by which this is found

    async def _store_batch(self, batch: Sequence[_Waiting]) -> None:
        self._in_hand = True
        try:
            stored = await in_thread(_store)([each.said for each in batch])
        except Exception as error:  # noqa: BLE001  it is theirs who wait
            if not _was_refused(error):
                for each in batch:
                    each.failed(error)
                return
            stored = set[UUID]()  # whose fault it is, each will find out
        finally:
            self._in_hand = False
        for each in batch:
            if each.said.run_id in stored:
                each.done(stored=True)
            else:
                alone = asyncio.create_task(_by_itself(each))
                self._by_themselves.add(alone)
                alone.add_done_callback(self._by_themselves.discard)


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Together] = WeakKeyDictionary()


def here() -> Together:
    """That of the loop that runs now."""
    return _of_loops.setdefault(asyncio.get_running_loop(), Together())


async def _by_itself(waiting: _Waiting) -> None:
    """Of a run that is over, or whose row somebody has in hand: that is waited for, and nobody else waits."""
    try:
        waiting.done(stored=await in_thread(_store_one)(waiting.said))
    except BaseException as error:  # noqa: BLE001  it is theirs who wait
        waiting.failed(error)


def _was_refused(error: Exception) -> bool:
    """Whether the server said that it did not carry out the statement, or was not sent it, since some of it is no JSON.
    Where the connection was lost nobody knows, and what was stored must not be stored again."""
    if isinstance(error, TypeError):
        return True
    state = getattr(error.__cause__ or error, "sqlstate", None)
    return state is not None and not state.startswith(("08", "57P"))


def _store(said: Sequence[Said]) -> set[UUID]:
    with scope.within(*sorted({each.workspace_id for each in said})):
        return sql.append_events_of_runs(said=said, lease_seconds=settings.RUN_LEASE_SECONDS)


def _store_one(said: Said) -> bool:
    with scope.within(said.workspace_id):
        return sql.append_events(
            run_id=said.run_id,
            workspace_id=said.workspace_id,
            events=said.events,
            lease_seconds=settings.RUN_LEASE_SECONDS,
        )
