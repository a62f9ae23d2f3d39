"""Reading a run's events, past and to come, from any web process.

One LISTEN connection per process hears of new events; what they are is read from the table, once per run however
many readers it has. No reader holds a connection while it waits.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from django.db import DatabaseError
from django.utils import timezone

from chat_sessions import endings, expiry
from threadhub.embedded import direct
from threadhub.isolation import scope
from threadhub.lib.asynchronous import in_thread
from threads.lifecycle import reading
from threads.lifecycle.bundles.verify import Damaged
from threads.models import Run, RunEvent
from threads.runs import events, replay
from threads.runs.end import end_if_lost
from threads.runs.events import StoredEvent

logger = logging.getLogger(__name__)

CHANNEL = "run_events"
CHANNELS = (CHANNEL, endings.CHANNEL)
# Without news from LISTEN a run is looked at this often (seconds): notices a lost worker, and bridges a reconnect.
LOOK_EVERY = 5.0
RECONNECT_AFTER = 0.5
THREAD_DELETED = ("thread_deleted", "The thread was deleted before the answer was complete.")
LONGEST_WAIT = 24 * 3600.0


@contextlib.asynccontextmanager
async def reader(*, run_id: UUID, workspace_id: UUID, thread_id: UUID | None = None) -> AsyncIterator["Reader"]:
    """Somebody who reads a run's events from the first on, as long as the `with` lasts. With its thread's id those of
    an archived run too, also where it is archived meanwhile."""
    async with _hub().feed(run_id, workspace_id, thread_id) as feed:
        one = Reader(feed)
        feed.readers.add(one)
        try:
            yield one
        finally:
            feed.readers.discard(one)


async def follow(
    *, run_id: UUID, workspace_id: UUID, thread_id: UUID | None = None, after: int = 0
) -> AsyncIterator[StoredEvent]:
    """The events of a run after the given number: those that are there, then those that come, until the last."""
    async with reader(run_id=run_id, workspace_id=workspace_id, thread_id=thread_id) as one:
        while not one.ended:
            await one.news.wait()
            for event in one.take():
                if event.seq > after:
                    yield event


async def until_end(*, run_id: UUID, workspace_id: UUID) -> None:
    """Wait until a run is over."""
    async for _ in follow(run_id=run_id, workspace_id=workspace_id):
        pass


async def session_over(*, session_id: UUID, workspace_id: UUID) -> None:
    """Wait until a chat session has ended or expired."""
    hub = _hub()
    async with hub.session_news(session_id) as news:
        while True:
            news.clear()
            try:
                with scope.within(workspace_id):
                    left = await in_thread(expiry.seconds_left)(session_id=session_id, now=timezone.now())
            except DatabaseError as error:
                logger.warning("could not read a chat session: %s", error)
                left = RECONNECT_AFTER
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), timeout=min(left, LONGEST_WAIT))


class Feed:
    """The events of one run, as far as this process has read them, for all its readers here."""

    def __init__(self, run_id: UUID, workspace_id: UUID, thread_id: UUID | None = None) -> None:
        self.run_id = run_id
        self.workspace_id = workspace_id
        self.thread_id = thread_id
        self.events: list[StoredEvent] = []
        self.users = 0
        self.readers: set[Reader] = set()
        self.news = asyncio.Event()
        self.pump: asyncio.Task[None] | None = None

    def add(self, rows: list[StoredEvent]) -> None:
        self.events.extend(rows)
        if rows:
            for reader in self.readers:
                reader.news.set()

    @property
    def last_seq(self) -> int:
        return self.events[-1].seq if self.events else 0

    @property
    def ended(self) -> bool:
        return bool(self.events) and self.events[-1].type == events.MESSAGE_STOP


class Reader:
    """One reader's place in a feed. There may be a thousand of them in a process: what each costs, an event costs that
    often. `news` is set when there is something to take; others may set it too, to be heard."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._taken = 0
        self.news = asyncio.Event()
        self.news.set()

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


class Hub:
    """All feeds of one event loop, and the listener that wakes them."""

    def __init__(self) -> None:
        self.feeds: dict[UUID, Feed] = {}
        self.sessions: dict[UUID, set[asyncio.Event]] = {}  # who waits for the end of which chat session
        self.listener: asyncio.Task[None] | None = None
        self.listening = asyncio.Event()

    @contextlib.asynccontextmanager
    async def feed(self, run_id: UUID, workspace_id: UUID, thread_id: UUID | None = None) -> AsyncIterator[Feed]:
        """The run's feed, shared; it ends with its last user."""
        await self._listen()
        feed = self.feeds.get(run_id)
        if feed is None:
            feed = self.feeds[run_id] = Feed(run_id, workspace_id, thread_id)
            feed.pump = asyncio.create_task(self._pump(feed))
        feed.thread_id = feed.thread_id or thread_id
        feed.users += 1
        try:
            yield feed
        finally:
            feed.users -= 1
            if not feed.users:
                self.feeds.pop(run_id, None)
                if feed.pump is not None:
                    feed.pump.cancel()

    @contextlib.asynccontextmanager
    async def session_news(self, session_id: UUID) -> AsyncIterator[asyncio.Event]:
        """An event that is set when the session was ended, or may have been."""
        await self._listen()
        news = asyncio.Event()
        self.sessions.setdefault(session_id, set()).add(news)
        try:
            yield news
        finally:
            waiting = self.sessions[session_id]
            waiting.discard(news)
            if not waiting:
                del self.sessions[session_id]

    async def _listen(self) -> None:
        """Be heard of before the first look: what is committed after it will be notified."""
        if self.listener is None or self.listener.done():
            self.listening.clear()
            self.listener = asyncio.create_task(self._keep_listening())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.listening.wait(), timeout=LOOK_EVERY)

    async def _keep_listening(self) -> None:
        while True:
            try:
                await self._wake_feeds()
            except psycopg.Error as error:
                logger.warning("lost the connection that hears of run events: %s", error)
            await asyncio.sleep(RECONNECT_AFTER)

    async def _wake_feeds(self) -> None:
        """Wake a run's feed at each notification, and all feeds after a reconnect: some may have been missed."""
        parameters = await in_thread(direct.parameters)()
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as connection:
            for channel in CHANNELS:
                await connection.execute(f"LISTEN {channel}")
            self.listening.set()
            for feed in self.feeds.values():
                feed.news.set()
            for session_id in self.sessions:
                self._wake_session(session_id)
            async for notification in connection.notifies():
                if notification.channel == endings.CHANNEL:
                    self._wake_session(UUID(notification.payload))
                    continue
                feed_of_run = self.feeds.get(UUID(notification.payload))
                if feed_of_run is not None:
                    feed_of_run.news.set()

    def _wake_session(self, session_id: UUID) -> None:
        for news in self.sessions.get(session_id, ()):
            news.set()

    async def _pump(self, feed: Feed) -> None:
        """Read new events into the feed until the run is over."""
        while not feed.ended:
            feed.news.clear()
            try:
                with scope.within(feed.workspace_id):
                    rows = await in_thread(_events_after)(feed.run_id, feed.workspace_id, feed.last_seq)
                    if not rows and feed.thread_id is not None:
                        rows = await in_thread(_archived_after)(
                            feed.run_id, feed.workspace_id, feed.thread_id, feed.last_seq
                        )
                    if not rows:
                        rows = await in_thread(_closing_of_gone)(feed.run_id, feed.last_seq)
                feed.add(rows)
            except DatabaseError as error:
                logger.warning("could not read the events of a run: %s", error)
                await asyncio.sleep(RECONNECT_AFTER)
                continue
            if not feed.ended:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(feed.news.wait(), timeout=LOOK_EVERY)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def _hub() -> Hub:
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())


def _events_after(run_id: UUID, workspace_id: UUID, seq: int) -> list[StoredEvent]:
    """By the primary key (run_id, seq, workspace_id), or from what is left of a run long finished."""
    rows = RunEvent.objects.filter(run_id=run_id, workspace_id=workspace_id, seq__gt=seq).order_by("seq")
    found = [StoredEvent(*row) for row in rows.values_list("seq", "type", "data")]
    return found or replay.events_after(run_id=run_id, workspace_id=workspace_id, seq=seq)


def _archived_after(run_id: UUID, workspace_id: UUID, thread_id: UUID, seq: int) -> list[StoredEvent]:
    """Where the run went into a bundle with its thread: nothing is missed, whenever that was. A bundle that cannot be
    read tells nothing; the run is then gone for its readers."""
    if Run.objects.filter(pk=run_id, workspace_id=workspace_id).exists():
        return []
    try:
        return reading.events(workspace_id=workspace_id, thread_id=thread_id, run_id=run_id, after=seq)
    except Damaged as error:
        logger.warning("the events of an archived run cannot be read: %s", error)
        return []


def _closing_of_gone(run_id: UUID, last_seq: int) -> list[StoredEvent]:
    """End the run if its worker is lost. If the run went with its thread, the events that its readers still miss."""
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        code, message = THREAD_DELETED
        return [
            StoredEvent(last_seq + 1, events.ERROR, {"code": code, "message": message}),
            StoredEvent(last_seq + 2, events.MESSAGE_STOP, {"status": "failed", "finish_reason": ""}),
        ]
    now = timezone.now()
    if run.live and run.lease_expires_at is not None and run.lease_expires_at < now:
        end_if_lost(run=run, now=now)
    return []
