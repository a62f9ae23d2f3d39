"""A stream that has nothing to say for a while shows that it lives."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from threadhub.api import streaming
from threads.models import Run
from threads.runs import events
from threads.runs.events import StoredEvent
from threads.runs.feeds import Feed, Reader

SECONDS, PATIENCE = 0.2, 10.0
END = StoredEvent(1_000, events.MESSAGE_STOP, {})


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Feed:
    """A run's events, from which every stream reads."""
    feed = Feed(uuid4(), uuid4())

    @asynccontextmanager
    async def reader(**_: UUID) -> AsyncIterator[Reader]:
        one = Reader(feed)
        feed.readers.add(one)
        yield one

    monkeypatch.setattr(streaming, "reader", reader)
    monkeypatch.setattr(streaming, "PING_SECONDS", SECONDS)
    monkeypatch.setattr(streaming, "LEAST_PAUSE", 0.01)
    return feed


def spoken(feed: Feed, say: Any) -> list[bytes]:
    """What a reader is sent while `say` speaks, and at the end."""
    run = Run(id=feed.run_id, workspace_id=feed.workspace_id)

    async def both() -> list[bytes]:
        response = streaming.stream(run, encode=lambda event: b"%d " % event.seq)
        speaking = asyncio.create_task(say())
        speaking.add_done_callback(lambda _: feed.add([END]))
        frames = [bytes(frame) async for frame in response]
        await speaking
        return frames

    return asyncio.run(both())


def test_in_silence_it_is_pinged_again_and_again(feed: Feed) -> None:
    async def nothing() -> None:
        await asyncio.sleep(SECONDS * 5.5)

    *pings, last = spoken(feed, nothing)
    assert last == b"1000 "
    assert set(pings) == {streaming.PING}
    assert 3 <= len(pings) <= 5  # a loaded machine is late


def test_as_long_as_there_are_events_it_is_not(feed: Feed) -> None:
    pauses: list[float] = []

    async def on_and_on() -> None:
        for number in range(1, 31):
            feed.add([StoredEvent(number, events.TEXT_DELTA, {})])
            begun = time.monotonic()
            await asyncio.sleep(SECONDS / 10)
            pauses.append(time.monotonic() - begun)

    pings = spoken(feed, on_and_on).count(streaming.PING)
    assert pings <= sum(int(pause / SECONDS) for pause in pauses)  # none, but where a loaded machine itself paused


def test_nothing_is_left_of_a_stream_that_ended(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "PING_SECONDS", 1_000.0)
    run = Run(id=feed.run_id, workspace_id=feed.workspace_id)

    async def timers_left() -> None:
        frames = aiter(streaming.stream(run, encode=lambda event: b"%d " % event.seq))
        feed.add([StoredEvent(1, events.TEXT_DELTA, {})])
        await anext(frames)
        await frames.aclose()  # type: ignore[attr-defined]
        del frames
        scheduled: Any = asyncio.get_running_loop()
        until = time.monotonic() + PATIENCE
        while [timer for timer in scheduled._scheduled if not timer.cancelled()]:
            assert time.monotonic() < until
            await asyncio.sleep(0)

    asyncio.run(timers_left())
