"""When a run's events are stored while they come."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from threadhub.agents.events import TextDelta
from threadhub.agents.usage import Amount
from threadhub.lib import ids
from threadhub.lib.solo_event import SoloEvent
from threads.runs import events, sql, together
from threads.runs import recorder as recorders
from threads.runs.execute import Step, Work
from threads.runs.recorder import Recorder
from threads.runs.sql import Said


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[list[str]]:
    """The batches that were stored: texts of pieces, types of all else. A burst would be waited for a whole minute."""
    settings.RUN_FLUSH_SECONDS = 60
    batches: list[list[str]] = []

    def append(*, said: Sequence[Said], lease_seconds: float) -> set[UUID]:
        batches.extend([data.get("text", type) for type, data in each.events] for each in said)
        return {each.run_id for each in said}

    monkeypatch.setattr(sql, "append_events_of_runs", append)
    return batches


async def until(stored: list[list[str]], batches: int) -> None:
    async with asyncio.timeout(10):
        while len(stored) < batches:
            await asyncio.sleep(0.001)


def test_the_first_words_do_not_wait_for_what_announces_them(stored: list[list[str]]) -> None:
    async def run() -> None:
        recorder = Recorder(run_id=ids.new(), workspace_id=ids.new())
        flushing = asyncio.create_task(recorder.keep_flushing())
        recorder.put(events.MESSAGE_START)
        await until(stored, 1)
        recorder.put(events.TEXT_DELTA, index=0, text="Hel")
        await until(stored, 2)
        recorder.put(events.TEXT_DELTA, index=0, text="lo")
        recorder.put(events.TEXT_DELTA, index=0, text=" you")
        await asyncio.sleep(0.05)
        assert stored == [["message_start"], ["Hel"]]
        await recorder.flush()
        flushing.cancel()

    asyncio.run(run())
    assert stored == [["message_start"], ["Hel"], ["lo you"]]


def test_who_hears_a_fast_provider_lets_the_batch_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the thread that stores waits for its turn in Python while the loop takes piece after piece."""
    may_end, heard = threading.Event(), list[str]()

    def append(*, said: Sequence[Said], lease_seconds: float) -> set[UUID]:
        assert may_end.wait(10)
        return {each.run_id for each in said}

    monkeypatch.setattr(sql, "append_events_of_runs", append)

    async def run() -> None:
        recorder = Recorder(run_id=ids.new(), workspace_id=ids.new())
        await recorder.while_storing()  # nothing is under way: at once
        recorder.put(events.TEXT_DELTA, index=0, text="Hel")
        storing = asyncio.create_task(recorder.flush())
        await asyncio.sleep(0)
        for _ in range(10):  # it begins, though who hears takes no other rest
            if not together.here().under_way:
                await recorder.while_storing()
        assert together.here().under_way

        async def hear() -> None:
            await recorder.while_storing()
            heard.append("lo")

        hearing = asyncio.create_task(hear())
        await asyncio.sleep(0.05)
        assert not heard
        may_end.set()
        await asyncio.gather(storing, hearing)

    asyncio.run(run())
    assert heard == ["lo"]


def test_much_is_stored_half_as_often(stored: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """What one says who is faster than anybody reads."""
    waits = list[float]()

    class Noting(SoloEvent):
        async def wait(self, seconds: float | None = None) -> bool:
            if seconds is not None and seconds >= 60:  # for the rest of a burst
                waits.append(seconds)
                seconds = 0.001
            return await super().wait(seconds)

    monkeypatch.setattr(recorders, "SoloEvent", Noting)

    async def run() -> None:
        recorder = Recorder(run_id=ids.new(), workspace_id=ids.new())
        flushing = asyncio.create_task(recorder.keep_flushing())
        for batch, pieces in enumerate((1, recorders.MANY_PIECES - 1, recorders.MANY_PIECES, 1), start=1):
            for _ in range(pieces):
                recorder.put(events.TEXT_DELTA, index=0, text="word ")
            await until(stored, batch)
            await asyncio.sleep(0.01)  # that is waited for
        recorder.close()
        await flushing

    asyncio.run(run())
    assert waits == [60, 60, 120, 60]


def test_an_end_does_not_wait_for_the_end_of_a_burst(stored: list[list[str]]) -> None:
    async def run() -> None:
        recorder = Recorder(run_id=ids.new(), workspace_id=ids.new())
        flushing = asyncio.create_task(recorder.keep_flushing())
        recorder.put(events.TEXT_DELTA, index=0, text="Hel")
        await until(stored, 1)
        recorder.put(events.TEXT_DELTA, index=0, text="lo")
        recorder.close()
        async with asyncio.timeout(10):
            await flushing
        assert [data["text"] for _, data in recorder.take_pending()] == ["lo"]

    asyncio.run(run())
    assert stored == [["Hel"]]


def test_who_gives_up_a_flush_still_waits_until_it_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes next, an end or a handing back, would else be stored before it."""
    may_end, done = threading.Event(), list[str]()

    def append(*, said: Sequence[Said], lease_seconds: float) -> set[UUID]:
        assert may_end.wait(10)
        done.append("stored")
        return {each.run_id for each in said}

    monkeypatch.setattr(sql, "append_events_of_runs", append)

    async def run() -> None:
        recorder = Recorder(run_id=ids.new(), workspace_id=ids.new())
        recorder.put(events.TEXT_DELTA, index=0, text="Hel")
        storing = asyncio.create_task(recorder.flush())
        await asyncio.sleep(0.05)
        storing.cancel()
        await asyncio.sleep(0.05)
        may_end.set()
        await asyncio.gather(storing, return_exceptions=True)
        done.append("next")
        assert storing.cancelled()

    asyncio.run(run())
    assert done == ["stored", "next"]


def test_a_fast_provider_is_heard_between_batches(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """One that never lets the loop rest: what it says while a batch is stored waits where it is."""
    settings.RUN_FLUSH_SECONDS = 0
    storing, heard_meanwhile = threading.Event(), list[int]()
    said_so_far = [0]

    class Fast:
        async def stream(self, request: Any) -> AsyncGenerator[TextDelta, None]:
            while len(heard_meanwhile) < 3:
                said_so_far[0] += 1
                await asyncio.sleep(0)
                yield TextDelta("word ")

    def append(*, said: Sequence[Said], lease_seconds: float) -> set[UUID]:
        before = said_so_far[0]
        storing.wait(0.05)
        heard_meanwhile.append(said_so_far[0] - before)
        return {each.run_id for each in said}

    monkeypatch.setattr(sql, "append_events_of_runs", append)

    async def run() -> None:
        recorder = Recorder(run_id=ids.new(), workspace_id=ids.new())
        flushing = asyncio.create_task(recorder.keep_flushing())
        work = Work.__new__(Work)
        work.recorder, work.step, work.block, work.open = recorder, Step(), -1, False
        work.meter = SimpleNamespace(heard=lambda text: None, unreported=Amount)
        work.spent = Amount()
        await work._hear(Fast(), None, None)
        recorder.close()
        await flushing

    asyncio.run(run())
    assert max(heard_meanwhile) <= 2, "what is under way when a batch begins, and the next"
