"""Calls in threads, few at a time: none is lost, none is called twice, and none that takes long holds up the others."""

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from threadhub.lib import few_at_a_time
from threadhub.lib.few_at_a_time import FEW, LONG, FewAtATime

WAIT = 20.0  # seconds, at most


class Crowd:
    """Counts how many are inside at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = self.most = self.came = 0

    def __call__(self, wait: float = 0.0, run: float = 0.0) -> None:
        with self.lock:
            self.inside += 1
            self.came += 1
            self.most = max(self.most, self.inside)
        time.sleep(wait)
        until = time.thread_time() + run
        while time.thread_time() < until:
            pass
        with self.lock:
            self.inside -= 1


def made(number: int) -> Callable[[], int]:
    return lambda: number


@pytest.mark.anyio
async def test_answers_belong_to_their_questions() -> None:
    calls = FewAtATime(8, "test")
    assert await asyncio.gather(*(calls.call(made(number)) for number in range(200))) == list(range(200))


@pytest.mark.anyio
async def test_what_is_raised_is_raised() -> None:
    calls = FewAtATime(8, "test")

    def fail() -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await calls.call(fail)
    assert await calls.call(made(1)) == 1


@pytest.mark.anyio
async def test_calls_that_run_are_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However they wait for each other."""
    monkeypatch.setattr(few_at_a_time, "LONG", WAIT)  # nothing takes so long, however busy the machine
    calls, crowd = FewAtATime(8, "test"), Crowd()
    for _ in range(20):
        await asyncio.gather(*(calls.call(lambda: crowd(run=0.001)) for _ in range(10)))
    assert crowd.came == 200
    assert crowd.most <= FEW + 1  # where the machine is busy with others, to run takes longer


@pytest.mark.anyio
async def test_calls_that_wait_are_many_at_a_time() -> None:
    calls, crowd = FewAtATime(8, "test"), Crowd()
    for _ in range(20):
        await asyncio.gather(*(calls.call(lambda: crowd(wait=0.002)) for _ in range(20)))
    assert crowd.came == 400
    assert crowd.most > FEW + 1


def test_what_is_known_of_calls_stays_in_bounds() -> None:
    """An outage is no reason for more threads than there are, and is forgotten soon."""
    calls = FewAtATime(8, "test")

    async def ask() -> None:
        for _ in range(30):
            await asyncio.gather(*(calls.call(lambda: time.sleep(0.01)) for _ in range(20)))
        assert calls._wanted() <= 6
        assert calls._longer <= 8 / few_at_a_time.BUSY

    asyncio.run(ask())


@pytest.mark.anyio
async def test_calls_that_others_took_leave_nothing_behind() -> None:
    """While the few are stuck, helpers serve any number of calls."""
    calls, over = FewAtATime(8, "test"), threading.Event()
    stuck = [asyncio.ensure_future(calls.call(lambda: over.wait(WAIT))) for _ in range(FEW)]
    for number in range(300):
        assert await asyncio.wait_for(calls.call(made(number)), WAIT) == number
    assert len(calls._woken) <= FEW
    over.set()
    assert await asyncio.gather(*stuck) == [True] * FEW


@pytest.mark.anyio
async def test_calls_that_take_long_hold_up_no_others() -> None:
    calls, over = FewAtATime(8, "test"), threading.Event()
    long = [asyncio.ensure_future(calls.call(lambda: over.wait(WAIT))) for _ in range(FEW + 2)]
    assert await asyncio.wait_for(asyncio.gather(*(calls.call(made(number)) for number in range(20))), WAIT)
    assert not any(each.done() for each in long)
    over.set()
    assert await asyncio.gather(*long) == [True] * len(long)


@pytest.mark.anyio
async def test_who_came_with_those_that_take_long_is_not_forgotten() -> None:
    """Nobody comes after them, and nobody was busy when they came."""
    calls, over = FewAtATime(8, "test"), threading.Event()
    long = [asyncio.ensure_future(calls.call(lambda: over.wait(WAIT))) for _ in range(FEW)]
    assert await asyncio.wait_for(calls.call(made(1)), WAIT) == 1
    over.set()
    assert await asyncio.gather(*long) == [True] * FEW


@pytest.mark.anyio
async def test_no_more_threads_than_are_allowed() -> None:
    calls, crowd = FewAtATime(4, "test"), Crowd()
    await asyncio.gather(*(calls.call(lambda: crowd(wait=3 * LONG)) for _ in range(20)))
    assert crowd.came == 20
    assert FEW < crowd.most <= 4


@pytest.mark.anyio
async def test_what_nobody_waits_for_any_more_does_not_begin() -> None:
    calls, over, called = FewAtATime(1, "test"), threading.Event(), list[int]()
    before = asyncio.create_task(calls.call(lambda: over.wait(WAIT)))
    asked = [asyncio.create_task(calls.call(lambda number=number: called.append(number))) for number in range(3)]  # type: ignore[misc]
    await asyncio.sleep(0.05)
    asked[1].cancel()
    await asyncio.wait({asked[1]})
    over.set()
    await asyncio.gather(before, asked[0], asked[2])
    assert called == [0, 2]


@pytest.mark.anyio
async def test_who_no_longer_waits_leaves_nothing_behind() -> None:
    """The call goes on to its end."""
    calls, began, over, ended = FewAtATime(4, "test"), threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        began.set()
        over.wait(WAIT)
        ended.set()

    asked = asyncio.ensure_future(calls.call(slow))
    while not began.is_set():
        await asyncio.sleep(0.001)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    over.set()
    assert await calls.call(made(1)) == 1
    assert ended.wait(WAIT)
    until = time.monotonic() + WAIT
    while calls._busy and time.monotonic() < until:
        await asyncio.sleep(0.001)
    assert not calls._busy
    assert not calls._waiting


def test_each_loop_is_served() -> None:
    calls = FewAtATime(4, "test")
    for _ in range(3):
        crowd = Crowd()

        async def ask(crowd: Crowd = crowd) -> None:
            await asyncio.gather(*(calls.call(lambda: crowd(wait=3 * LONG)) for _ in range(6)))

        asyncio.run(ask())
        assert crowd.came == 6


@pytest.mark.anyio
async def test_what_is_behind_waits_for_all_others() -> None:
    calls, over, called = FewAtATime(1, "test"), threading.Event(), list[int]()
    first = asyncio.ensure_future(calls.call(lambda: over.wait(WAIT)))
    await asyncio.sleep(0)
    late = [asyncio.ensure_future(calls.call(partial(called.append, number), behind=True)) for number in (3, 4)]
    await asyncio.sleep(0)
    soon = [asyncio.ensure_future(calls.call(partial(called.append, number))) for number in (1, 2)]
    await asyncio.sleep(0)
    over.set()
    await asyncio.wait_for(asyncio.gather(first, *soon, *late), WAIT)
    assert called == [1, 2, 3, 4]


@pytest.mark.anyio
async def test_what_is_behind_is_helped_too() -> None:
    """While the few are stuck."""
    calls, over = FewAtATime(8, "test"), threading.Event()
    stuck = [asyncio.ensure_future(calls.call(lambda: over.wait(WAIT))) for _ in range(FEW)]
    for number in range(20):
        assert await asyncio.wait_for(calls.call(made(number), behind=True), WAIT) == number
    over.set()
    assert await asyncio.gather(*stuck) == [True] * FEW
