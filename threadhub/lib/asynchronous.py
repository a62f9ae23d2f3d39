"""Calling synchronous database code from async code."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from django.db import close_old_connections

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 16
_executor = ThreadPoolExecutor(THREADS, thread_name_prefix="database")


def in_thread(function: Callable[P, R], threads: Executor = _executor) -> Callable[P, Coroutine[Any, Any, R]]:
    """Run `function` in one of a few threads; its database connection goes back to the pool right after."""

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            close_old_connections()

    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        context = copy_context()  # what the logs know of the request goes along
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, lambda: context.run(call, *args, **kwargs))

    return wrapper
