"""Reading a run's events, past and to come, from any web process.

One LISTEN connection per process hears of new events; what they are is read from the table (`feeds.py`). No reader
holds a connection while it waits.
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
from psycopg.pq.abc import PGconn

from chat_sessions import endings, expiry
from threadhub.embedded import direct
from threadhub.isolation import scope
from threadhub.lib.asynchronous import in_thread
from threads.runs.events import StoredEvent
from threads.runs.feeds import LOOK_EVERY, RETRY_AFTER, Feeds, Reader

logger = logging.getLogger(__name__)

CHANNEL = "run_events"
CHANNELS = (CHANNEL, endings.CHANNEL)
LONGEST_WAIT = 24 * 3600.0


@contextlib.asynccontextmanager
async def reader(
    *, run_id: UUID, workspace_id: UUID, thread_id: UUID | None = None, after: int = 0, live: bool = False
) -> AsyncIterator[Reader]:
    """Somebody who reads a run's events from the first on, as long as the `with` lasts; what ends them is numbered
    beyond `after`. With its thread's id those of an archived run too, also where it is archived meanwhile.
    `live`: the run was, a moment ago."""
    hub = _hub()
    await hub.listen()
    async with hub.feeds.open(run_id, workspace_id, thread_id, after, live) as feed:
        one = Reader(feed)
        feed.readers.add(one)
        try:
            yield one
        finally:
            feed.readers.discard(one)


async def follow(
    *, run_id: UUID, workspace_id: UUID, thread_id: UUID | None = None, after: int = 0, live: bool = False
) -> AsyncIterator[StoredEvent]:
    """The events of a run after the given number: those that are there, then those that come, until the last."""
    reading = reader(run_id=run_id, workspace_id=workspace_id, thread_id=thread_id, after=after, live=live)
    async with reading as one:
        while not one.ended:
            await one.news.wait()
            for event in one.take():
                if event.seq > after:
                    yield event


async def until_end(*, run_id: UUID, workspace_id: UUID, live: bool = False) -> None:
    """Wait until a run is over. `live`: it was not, a moment ago."""
    async for _ in follow(run_id=run_id, workspace_id=workspace_id, live=live):
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
                left = RETRY_AFTER
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), timeout=min(left, LONGEST_WAIT))


class Hub:
    """All feeds of one event loop, and the listener that wakes them."""

    def __init__(self) -> None:
        self.feeds = Feeds()
        self.sessions: dict[UUID, set[asyncio.Event]] = {}  # who waits for the end of which chat session
        self.listener: asyncio.Task[None] | None = None
        self.listening = asyncio.Event()

    @contextlib.asynccontextmanager
    async def session_news(self, session_id: UUID) -> AsyncIterator[asyncio.Event]:
        """An event that is set when the session was ended, or may have been."""
        await self.listen()
        news = asyncio.Event()
        self.sessions.setdefault(session_id, set()).add(news)
        try:
            yield news
        finally:
            waiting = self.sessions[session_id]
            waiting.discard(news)
            if not waiting:
                del self.sessions[session_id]

    async def listen(self) -> None:
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
            await asyncio.sleep(RETRY_AFTER)

    async def _wake_feeds(self) -> None:
        """Wake a run's feed at each notification, and all feeds after a reconnect: some may have been missed."""
        parameters = await in_thread(direct.parameters)()
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as connection:
            for channel in CHANNELS:
                await connection.execute(f"LISTEN {channel}")
            self.listening.set()
            self.feeds.wake_all()
            for session_id in self.sessions:
                self._wake_session(session_id)
            await self._hear_all(connection.pgconn)

    async def _hear_all(self, connection: PGconn) -> None:
        """Until the connection is lost. Its socket is read in the loop's own turn: a task that waits for each piece
        of it would cost as much as what is done with it."""
        loop = asyncio.get_running_loop()
        lost: asyncio.Future[None] = loop.create_future()

        def read() -> None:
            try:
                connection.consume_input()
                while told := connection.notifies():
                    self._hear(told.relname.decode(), told.extra.decode())
            except psycopg.Error as error:
                loop.remove_reader(socket)  # it is closed, and its number may be another one's at once
                if not lost.done():
                    lost.set_exception(error)

        socket = connection.socket
        loop.add_reader(socket, read)
        try:
            await lost
        finally:
            loop.remove_reader(socket)

    def _hear(self, channel: str, payload: str) -> None:
        """One id, or several with commas between them."""
        try:
            told = [UUID(each) for each in payload.split(",")]
        except ValueError:  # anybody who may speak to the database may notify
            logger.warning("heard on %s what is no id: %.80r", channel, payload)
            return
        for each in told:
            if channel == endings.CHANNEL:
                self._wake_session(each)
            else:
                self.feeds.wake(each)

    def _wake_session(self, session_id: UUID) -> None:
        for news in self.sessions.get(session_id, ()):
            news.set()


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def _hub() -> Hub:
    return _hubs.setdefault(asyncio.get_running_loop(), Hub())
