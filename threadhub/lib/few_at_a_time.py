"""Functions called in threads, as many at a time as gain something.

Of Python's threads one runs at a time. The more of them want to, the more often they change places, which costs more
than it gains: calls that mostly run are taken by two threads, one after the other. The more of their time calls wait
(for a database that is far away, say), the more of them are called at once; and a call that takes long, whatever for,
holds up no other, as long as there are threads left.

Calls that are `behind` wait for all that are not, for as long as there are any: they are for what may begin late, where
what has begun comes to an end by itself.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, NamedTuple, TypeVar

R = TypeVar("R")

FEW = 2  # one runs, and another goes on when that one waits
LONG = 0.01  # seconds
# Of the time that calls take, this part may be spent running, by all threads together. Well below 1: threads wait for
# each other too, and where they do they are to become fewer.
BUSY = 0.5
STEP = 1.02  # by which each call moves what is known of the last ones


class _Call(NamedTuple, Generic[R]):
    function: Callable[[], R]
    answer: "asyncio.Future[R]"
    loop: asyncio.AbstractEventLoop


class FewAtATime:
    """FEW threads that are always ready, and up to `most` in all."""

    def __init__(self, most: int, name: str) -> None:
        self._always = min(FEW, most)
        self._few = ThreadPoolExecutor(self._always, thread_name_prefix=name)
        self._helpers = most - self._always
        self.more = ThreadPoolExecutor(max(1, self._helpers), thread_name_prefix=f"{name} more")
        self._waiting: deque[_Call[Any]] = deque()
        self._behind: deque[_Call[Any]] = deque()  # those that wait for all others
        self._woken: set[object] = set()  # turns of the few that have not begun
        self._busy: dict[object, float] = {}  # calls, since when by the monotonic clock
        self._longer = 1.0  # running median of how many times longer calls took than they ran
        self._helping: set[object] = set()
        self._watched: asyncio.AbstractEventLoop | None = None

    async def call(self, function: Callable[[], R], *, behind: bool = False) -> R:
        """What the function returns; or raises. Once it has begun it goes on to its end, whether or not anybody still
        waits; before that, it is not called where nobody does. `behind`: its turn is after all that are not."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        (self._behind if behind else self._waiting).append(_Call(function, answer, loop))
        if len(self._woken) < self._always:  # else whose turn has not begun will find it
            turn = object()
            self._woken.add(turn)
            self._few.submit(self._take_turn, turn)
        if len(self._busy) >= self._always:
            self._get_help()
        self._watch(loop)
        return await answer

    def _take_turn(self, turn: object) -> None:
        self._woken.discard(turn)
        while self._waiting or self._behind:
            self._take_one()

    def _take_one(self) -> None:
        """The call that waits for longest, if another thread has not taken it; one behind where no other waits."""
        call = _first(self._waiting) or _first(self._behind)
        if call is None:
            return
        if call.answer.cancelled():
            return
        self._busy[call.answer] = began = time.monotonic()
        ran = time.thread_time()
        try:
            told: tuple[Any, ...] = (call.answer, call.function())
        except BaseException as error:  # noqa: BLE001  it belongs to who called
            told = (call.answer, None, error)
        ran = time.thread_time() - ran
        del self._busy[call.answer]
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            call.loop.call_soon_threadsafe(_tell, *told)
        del told  # an error holds what was going on when it was raised
        step = STEP if time.monotonic() - began > ran * self._longer else 1 / STEP
        self._longer = min(max(self._longer * step, 1.0), (FEW + self._helpers) / BUSY)

    def _wanted(self) -> int:
        """How many helpers gain something: while calls wait more than they run, and one for each that takes long."""
        before = time.monotonic() - LONG
        long = sum(since <= before for since in list(self._busy.values()))
        return min(max(0, int(BUSY * self._longer) - FEW) + long, self._helpers)

    def _get_help(self) -> None:
        waiting = len(self._waiting) + len(self._behind)
        for _ in range(min(self._wanted() - len(self._helping), waiting)):
            one = object()
            self._helping.add(one)
            self.more.submit(self._help, one)

    def _help(self, one: object) -> None:
        try:
            while (self._waiting or self._behind) and len(self._helping) <= self._wanted():
                self._take_one()
        finally:
            self._helping.discard(one)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look for calls that take long, while others wait."""
        if self._watched is not loop:
            self._watched = loop
            loop.call_later(LONG, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watched = None
        if self._waiting or self._behind:
            self._get_help()
            self._watch(loop)


def _first(calls: deque[_Call[Any]]) -> _Call[Any] | None:
    try:
        return calls.popleft()
    except IndexError:  # another thread has taken it
        return None


def _tell(answer: "asyncio.Future[R]", value: R, error: BaseException | None = None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(value)
    else:
        answer.set_exception(error)
