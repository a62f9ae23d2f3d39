"""An event for one who waits."""

import asyncio


class SoloEvent:
    """An `asyncio.Event` of the running loop that one task waits for, also with a time limit: for where that is done at
    each piece of each answer. Unlike that of `asyncio.timeout`, a limit that is reached cancels nothing."""

    def __init__(self, *, is_set: bool = False) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._is_set = is_set

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        if self._waiter is not None:
            _wake(self._waiter)

    def clear(self) -> None:
        self._is_set = False

    async def wait(self, seconds: float | None = None) -> bool:
        """Until it is set, or so many seconds are over. Whether it is set."""
        if not self._is_set:
            assert self._waiter is None, "only one may wait"  # noqa: S101
            self._waiter = self._loop.create_future()
            over = None if seconds is None else self._loop.call_later(seconds, _wake, self._waiter)
            try:
                await self._waiter
            finally:
                self._waiter = None
                if over is not None:
                    over.cancel()
        return self._is_set


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
