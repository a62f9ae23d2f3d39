"""Writes a running run's events to the database, in small batches, and renews its lease while it does."""

import asyncio
import contextlib
from typing import Any
from uuid import UUID

from django.conf import settings

from threadhub.lib.solo_event import SoloEvent
from threads.runs import events, together
from threads.runs.sql import Said

BEATS_PER_LEASE = 4
YIELD_SECONDS = 1.0  # for which hearing waits while a batch is stored
# Where so many pieces gather between two batches somebody speaks faster than anybody reads, or the database is slow:
# theirs are stored half as often, until they are fewer.
MANY_PIECES = 5


class RunOver(Exception):
    """The run was ended by somebody else: cancelled, taken for lost, or its thread was deleted."""


class Recorder:
    """Collects events; a task of its own stores them. The first text of a burst goes at once, what comes within
    RUN_FLUSH_SECONDS after it together, or within twice as long where that is much; neighbouring pieces of text as one.

    When the run is over by other hands, `flush` raises RunOver.
    """

    def __init__(self, *, run_id: UUID, workspace_id: UUID) -> None:
        self.run_id = run_id
        self.workspace_id = workspace_id
        self._pending: list[tuple[str, dict[str, Any]]] = []
        self._pieces = 0  # of text, among what is pending
        self._dirty = SoloEvent()
        self._storing = asyncio.Lock()
        self._closed = SoloEvent()
        self.stored = asyncio.Event()  # set once anything is

    def put(self, type: str, **data: Any) -> None:
        """Take an event; it is stored soon."""
        last = self._pending[-1] if self._pending else None
        self._pieces += type == events.TEXT_DELTA
        if type == events.TEXT_DELTA and last and last[0] == type and last[1]["index"] == data["index"]:
            last[1]["text"] += data["text"]
        else:
            self._pending.append((type, data))
        self._dirty.set()

    def take_pending(self) -> list[tuple[str, dict[str, Any]]]:
        """What is not stored yet, for a caller that stores it in a transaction of its own."""
        pending, self._pending, self._pieces = self._pending, [], 0
        self._dirty.clear()
        return pending

    async def flush(self) -> None:
        """Store what is pending, and what another flush is still storing; see to the lease. Raises RunOver.

        One at a time: two batches under way at once, `keep_flushing`'s and a step's own, could be numbered the other
        way round.
        """
        async with self._storing:
            said = Said(self.run_id, self.workspace_id, self.take_pending())
            storing = together.here().store(said)
            try:
                stored = await asyncio.shield(storing)
            except asyncio.CancelledError:  # whatever comes next is stored after it
                await asyncio.gather(storing, return_exceptions=True)
                raise
        if not stored:
            raise RunOver
        self.stored.set()

    async def while_storing(self) -> None:
        """Wait for a batch that is on its way, if there is one, but not for long. Who goes on hearing a fast provider
        meanwhile keeps the thread that stores from running: it took half a second for what takes two milliseconds."""
        if not self._storing.locked():
            return
        if not together.here().under_way:  # its turn has not come, and would not come to one who never rests
            await asyncio.sleep(0)
        else:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(YIELD_SECONDS), self._storing:
                    pass

    async def keep_flushing(self) -> None:
        """Store whenever there is something, and at least a few times per lease, until closed. Raises RunOver."""
        beat = settings.RUN_LEASE_SECONDS / BEATS_PER_LEASE
        while not self._closed.is_set():
            await self._dirty.wait(beat)  # without anything to store the lease must still be renewed
            if not self._closed.is_set():
                pieces = self._pieces
                await self.flush()
                if pieces:  # what has no text must not hold up the first words
                    await self._closed.wait(settings.RUN_FLUSH_SECONDS * (2 if pieces >= MANY_PIECES else 1))

    def close(self) -> None:
        """No more flushing by itself: what is pending from now on is for `take_pending`."""
        self._closed.set()
        self._dirty.set()
