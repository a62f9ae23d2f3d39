"""Functions called in threads, few at a time.

Of Python's threads one runs at a time. The more of them want to, the more often they change places, which costs more
than it gains: two threads take most calls, one after the other. While one of them is busy for longer than LONG, as it
waits for the database or has much to do, another thread takes calls in its place.
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


class _Call(NamedTuple, Generic[R]):
    function: Callable[[], R]
    answer: "asyncio.Future[R]"
    loop: asyncio.AbstractEventLoop


class FewAtATime:
    """`threads` at most, of which FEW are busy while no call takes long."""

    def __init__(self, threads: int, name: str) -> None:
        self._few = ThreadPoolExecutor(FEW, thread_name_prefix=name)
        self.more = ThreadPoolExecutor(max(1, threads - FEW), thread_name_prefix=f"{name} more")
        self._waiting: deque[_Call[Any]] = deque()
        self._busy: dict[object, float] = {}  # calls, since when by the monotonic clock
        self._more: set[object] = set()
        self._watched: asyncio.AbstractEventLoop | None = None

    async def call(self, function: Callable[[], R]) -> R:
        """What the function returns; or raises. It is called to its end, whether or not anybody still waits."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()
        self._waiting.append(_Call(function, answer, loop))
        self._few.submit(self._take_one)
        self._watch(loop)
        return await answer

    def _take_one(self) -> None:
        """The call that waits for longest, if another thread has not taken it."""
        try:
            call = self._waiting.popleft()
        except IndexError:
            return
        self._busy[call.answer] = time.monotonic()
        told: tuple[Any, ...]
        try:
            told = (call.answer, call.function())
        except BaseException as error:  # noqa: BLE001  it belongs to who called
            told = (call.answer, None, error)
        finally:
            del self._busy[call.answer]
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            call.loop.call_soon_threadsafe(_tell, *told)

    def _take_some(self, one: object) -> None:
        """In place of a busy thread, for a while."""
        until = time.monotonic() + LONG
        try:
            while self._waiting and time.monotonic() < until:
                self._take_one()
        finally:
            self._more.discard(one)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._watched is not loop:
            self._watched = loop
            loop.call_later(LONG, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watched = None
        if not self._waiting:
            return
        before = time.monotonic() - LONG
        long = sum(since <= before for since in list(self._busy.values()))
        for _ in range(min(long - len(self._more), len(self._waiting))):
            one = object()
            self._more.add(one)
            self.more.submit(self._take_some, one)
        self._watch(loop)


def _tell(answer: "asyncio.Future[R]", value: R, error: BaseException | None = None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(value)
    else:
        answer.set_exception(error)
