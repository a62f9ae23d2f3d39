"""Doing something together that is asked for all the time."""

import asyncio


class Pace:
    """Turns that are `apart` seconds on the average. `at_once` more than are due do not wait: what is asked for now and
    then is done right away."""

    def __init__(self, apart: float, at_once: int) -> None:
        self._apart = apart
        self._ahead = apart * at_once
        self._due = 0.0  # of the next turn, were each `apart` from the one before

    async def turn(self) -> None:
        """Wait until it is time."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._due - self._ahead - loop.time())
        self._due = max(self._due, loop.time()) + self._apart
