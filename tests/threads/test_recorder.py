"""When a run's events are stored while they come."""

import asyncio
from typing import Any

import pytest

from threadhub.lib import ids
from threads import sql
from threads.runs import events
from threads.runs.recorder import Recorder


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[list[str]]:
    """The batches that were stored: texts of pieces, types of all else. A burst would be waited for a whole minute."""
    settings.RUN_FLUSH_SECONDS = 60
    batches: list[list[str]] = []

    def append(*, events: list[tuple[str, dict[str, Any]]], **of_the_run: Any) -> bool:
        batches.append([data.get("text", type) for type, data in events])
        return True

    monkeypatch.setattr(sql, "append_events", append)
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
