"""Calling synchronous database code from async code."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from typing import Any, ParamSpec, TypeVar

from django.db import close_old_connections

from threadhub.lib.few_at_a_time import FewAtATime

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 16
_threads = FewAtATime(THREADS, "database")


def in_thread(
    function: Callable[P, R], threads: Executor | None = None, *, behind: bool = False
) -> Callable[P, Coroutine[Any, Any, R]]:
    """Run `function` in one of a few threads, or of those given; its database connection goes back to the pool right
    after. `behind`: in one of the few, once no other call waits for them; for what begins, or what nobody waits for."""
    assert threads is None or not behind  # noqa: S101

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        context = copy_context()  # what the logs know of the request goes along
        if threads is None:
            return await _threads.call(partial(context.run, call, *args, **kwargs), behind=behind)
        return await asyncio.get_running_loop().run_in_executor(threads, partial(context.run, call, *args, **kwargs))

    return wrapper
