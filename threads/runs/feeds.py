"""The events of the runs that are read in this process: read from the table once, however many readers a run has, and
those of all runs that have news together.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import Context
from itertools import groupby
from operator import itemgetter
from uuid import UUID

from django.db import InterfaceError, NotSupportedError, OperationalError, ProgrammingError, connection
from django.utils import timezone

from threadhub.isolation import scope
from threadhub.lib.asynchronous import in_thread
from threadhub.lib.pace import Pace
from threadhub.lib.solo_event import SoloEvent
from threads import sql
from threads.lifecycle import reading
from threads.lifecycle.bundles.verify import Damaged
from threads.models import Run
from threads.runs import events, replay
from threads.runs.end import end_if_lost
from threads.runs.events import StoredEvent

logger = logging.getLogger(__name__)

# Without news a run is looked at this often (seconds): notices a lost worker, and bridges a lost LISTEN.
LOOK_EVERY = 5.0
RETRY_AFTER = 0.5
# A run that spoke, or began, this little ago (seconds) may have nothing new to read although it was heard of: what it
# said was read before its notification was. It is not looked at closer for that, which takes as long as 40 events.
LATELY = 1.0
# The database is away, or its tables are another release's for a while. All else may be of a row: a page of the disk
# that is damaged is an InternalError.
PASSING = (OperationalError, InterfaceError, NotSupportedError, ProgrammingError)
# Seconds from one reading to the next, on the average: what comes meanwhile is read together, whichever run it is of.
# So many more than are due go at once: a run that begins has its first words right after what announces them.
APART, AT_ONCE = 0.02, 5
UNREADABLE = ("internal_error", "What the answer says from here on cannot be read.")
THREAD_DELETED = ("thread_deleted", "The thread was deleted before the answer was complete.")
# One reading after the other, in a thread of their own.
_reading = ThreadPoolExecutor(1, thread_name_prefix="events")
# By the primary key (run_id, seq, workspace_id), run for run. The arrays are subqueries: where the planner sees how
# long they are, it makes a plan for each length anew, which takes four times as long as the reading.
NEWS = """
SELECT asked.number, event.seq, event.type, event.data
  FROM unnest((SELECT %s::text::uuid[]), (SELECT %s::text::uuid[]), (SELECT %s::text::int[])) WITH ORDINALITY
           AS asked (run_id, workspace_id, seq, number),
       LATERAL (SELECT seq, type, data FROM threads_runevent
                 WHERE run_id = asked.run_id AND workspace_id = asked.workspace_id AND seq > asked.seq
                 ORDER BY seq OFFSET 0) AS event
 ORDER BY asked.number, event.seq
"""


class Feed:
    """The events of one run, as far as this process has read them, for all its readers here."""

    def __init__(self, run_id: UUID, workspace_id: UUID, thread_id: UUID | None = None) -> None:
        self.run_id = run_id
        self.workspace_id = workspace_id
        self.ids = (str(run_id), str(workspace_id))
        self.thread_id = thread_id
        self.events: list[StoredEvent] = []
        self.last_seq = 0
        self.ended = False
        self.after = 0  # the highest number that one of its readers has already
        self.users = 0
        self.readers: set[Reader] = set()
        self.heard_at = float("-inf")  # when there was last something new of it (the loop's time)
        self.look_at = 0.0  # when it is looked at without news; what is heard meanwhile puts it off
        self.next_look: asyncio.TimerHandle | None = None
        self.closer_look: asyncio.Task[None] | None = None
        self.again = False  # it was heard of during that look, and is looked at soon after

    def add(self, rows: list[StoredEvent]) -> None:
        if rows:
            self.events.extend(rows)
            self.last_seq = rows[-1].seq
            self.ended = rows[-1].type == events.MESSAGE_STOP
            for reader in self.readers:
                reader.news.set()

    def close(self) -> None:
        if self.next_look is not None:
            self.next_look.cancel()
        if self.closer_look is not None:
            self.closer_look.cancel()


class Reader:
    """One reader's place in a feed. There may be a thousand of them in a process: what each costs, an event costs that
    often. `news` is set when there is something to take; others may set it too, to be heard."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._taken = 0
        self.news = SoloEvent(is_set=True)

    def take(self) -> list[StoredEvent]:
        """The events since the last taking, in their order."""
        self.news.clear()
        taken = self._feed.events[self._taken :]
        self._taken += len(taken)
        return taken

    @property
    def ended(self) -> bool:
        """Whether the last event of the run was taken."""
        return self._feed.ended and self._taken == len(self._feed.events)


class Feeds:
    """All feeds of one event loop, and the task that fills them."""

    def __init__(self) -> None:
        self._feeds: dict[UUID, Feed] = {}
        self._stale: set[Feed] = set()
        self._news = asyncio.Event()
        self._filling: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def open(
        self, run_id: UUID, workspace_id: UUID, thread_id: UUID | None = None, after: int = 0, live: bool = False
    ) -> AsyncIterator[Feed]:
        """The run's feed, shared; it ends with its last user, who has the events up to `after` already. `live`: it was,
        a moment ago, so that nothing is wrong where it has said nothing yet."""
        feed = self._feeds.get(run_id)
        if feed is None:
            feed = self._feeds[run_id] = Feed(run_id, workspace_id, thread_id)
            if live:
                feed.heard_at = asyncio.get_running_loop().time()
            self._look(feed)
        feed.thread_id = feed.thread_id or thread_id
        feed.after = max(feed.after, after)
        feed.users += 1
        try:
            yield feed
        finally:
            feed.users -= 1
            if not feed.users:
                del self._feeds[run_id]
                self._stale.discard(feed)
                feed.close()
                if not self._feeds and self._filling is not None:
                    self._filling.cancel()
                    self._filling = None

    def wake(self, run_id: UUID) -> None:
        """There may be news of a run, whether or not it has readers here."""
        feed = self._feeds.get(run_id)
        if feed is not None:
            self._look(feed)

    def wake_all(self) -> None:
        for feed in self._feeds.values():
            self._look(feed)

    def _look(self, feed: Feed) -> None:
        """Have it looked at soon."""
        if feed.ended:
            return
        self._stale.add(feed)
        self._news.set()
        if self._filling is None or self._filling.done():
            # In a context of its own: it is nobody's request, and sees what it names.
            self._filling = asyncio.get_running_loop().create_task(self._fill(), context=Context())

    async def _fill(self) -> None:
        """Read what is new, for as long as there is a feed."""
        pace = Pace(APART, AT_ONCE)
        while True:
            await self._news.wait()
            await pace.turn()
            self._news.clear()
            looked_at, self._stale = self._stale, set()
            if not looked_at:  # whoever had news has no reader any more
                continue
            try:
                await self._read(looked_at)
            except Exception as error:  # whatever it is, a thousand readers must not wait for ever
                logger.warning("could not read the events of runs: %s", error, exc_info=not _is_passing(error))
                await asyncio.sleep(RETRY_AFTER)
                for feed in looked_at & set(self._feeds.values()):
                    if isinstance(error, PASSING):
                        self._look(feed)
                    else:  # maybe of a row: whose it is, must not hold up the others
                        await self._read_alone(feed)

    async def _read(self, feeds: Collection[Feed]) -> None:
        feeds = list(feeds)
        asked = [(*feed.ids, feed.last_seq) for feed in feeds]
        with scope.within(*{feed.workspace_id for feed in feeds}):
            found = await in_thread(_events_after, _reading)(asked)
        now = asyncio.get_running_loop().time()
        for number, feed in enumerate(feeds, 1):
            if not feed.users or feed.ended:
                continue
            # A closer look may have told some of it meanwhile.
            if rows := [event for event in found.get(number, ()) if event.seq > feed.last_seq]:
                feed.heard_at = now
                feed.add(rows)
                self._look_again(feed, now + LOOK_EVERY)
            elif now - feed.heard_at < LATELY:
                self._look_again(feed, now + LATELY)
            elif feed.closer_look is None or feed.closer_look.done():
                feed.again = False
                feed.closer_look = asyncio.create_task(self._look_closer(feed))
            else:
                feed.again = True

    async def _read_alone(self, feed: Feed) -> None:
        """What cannot be read of it now either, its readers are told, and go without."""
        try:
            await self._read([feed])
        except PASSING:
            self._look(feed)
        except Exception:
            logger.exception("the events of run %s cannot be read: its streams end here", feed.run_id)
            if not feed.ended:  # a closer look may have told the end meanwhile
                feed.add(_ended(max(feed.last_seq, feed.after), UNREADABLE))

    async def _look_closer(self, feed: Feed) -> None:
        """Where there is no row that is new: what is left of a run long finished, archived, gone or lost."""
        seq, wait = feed.last_seq, LOOK_EVERY
        try:
            with scope.within(feed.workspace_id):
                rows = await in_thread(_told_otherwise)(feed.run_id, feed.workspace_id, feed.thread_id, seq, feed.after)
            if feed.last_seq == seq:
                feed.add(rows)
        except Exception as error:  # as above
            logger.warning("could not look at a run: %s", error, exc_info=not _is_passing(error))
            wait = RETRY_AFTER
        self._look_again(feed, asyncio.get_running_loop().time() + (LATELY if feed.again else wait))

    def _look_again(self, feed: Feed, at: float) -> None:
        """Then, unless it is put off. What puts it off moves no timer: that would cost more than sending it."""
        feed.look_at = at
        if feed.next_look is not None and feed.next_look.when() > at:
            feed.next_look.cancel()
            feed.next_look = None
        if feed.next_look is None and not feed.ended:
            feed.next_look = asyncio.get_running_loop().call_at(at, self._due, feed)

    def _due(self, feed: Feed) -> None:
        feed.next_look = None
        if feed.look_at > asyncio.get_running_loop().time():
            self._look_again(feed, feed.look_at)
        else:
            self._look(feed)


def _is_passing(error: Exception) -> bool:
    """Whether it is the database that is away, and not a fault of ours."""
    return isinstance(error, OperationalError)


def _events_after(asked: Collection[tuple[str, str, int]]) -> dict[int, list[StoredEvent]]:
    """Of runs, each with its workspace and the number of its last known event: those that came after it, by the place
    of the run among those that are asked for (from 1)."""
    columns = [sql.array(column) for column in zip(*asked, strict=True)]
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
        cursor.execute(NEWS, columns)
        rows = cursor.fetchall()
    return {
        number: [StoredEvent(seq, type, data) for _, seq, type, data in of_run]
        for number, of_run in groupby(rows, key=itemgetter(0))
    }


def _told_otherwise(
    run_id: UUID, workspace_id: UUID, thread_id: UUID | None, seq: int, known: int
) -> list[StoredEvent]:
    """A run's events after a number, where their rows are not there; none where there is nothing to tell yet. Ends the
    run if its worker is lost. `known`: the number up to which a reader has them."""
    rows = Run.objects.filter(pk=run_id, workspace_id=workspace_id)
    run = rows.first()
    if run is None:
        # In this order: what was restored meanwhile is there again.
        return _archived_after(run_id, workspace_id, thread_id, seq) or (
            [] if rows.exists() else _gone(max(seq, known))
        )
    now = timezone.now()
    if run.live and run.lease_expires_at is not None and run.lease_expires_at < now:
        end_if_lost(run=run, now=now)
    return replay.events_after(run=run, seq=seq)


def _archived_after(run_id: UUID, workspace_id: UUID, thread_id: UUID | None, seq: int) -> list[StoredEvent]:
    """Where the run went into a bundle with its thread: nothing is missed, whenever that was. A bundle that cannot be
    read tells nothing; the run is then gone for its readers."""
    if thread_id is None:
        return []
    try:
        return reading.events(workspace_id=workspace_id, thread_id=thread_id, run_id=run_id, after=seq)
    except Damaged as error:
        logger.warning("the events of an archived run cannot be read: %s", error)
        return []


def _gone(last_seq: int) -> list[StoredEvent]:
    """The run went with its thread: the events that its readers still miss."""
    return _ended(last_seq, THREAD_DELETED)


def _ended(last_seq: int, why: tuple[str, str]) -> list[StoredEvent]:
    code, message = why
    return [
        StoredEvent(last_seq + 1, events.ERROR, {"code": code, "message": message}),
        StoredEvent(last_seq + 2, events.MESSAGE_STOP, {"status": "failed", "finish_reason": ""}),
    ]
