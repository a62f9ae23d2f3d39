"""Connections that the threads of a process share, of which none is given out that a restart has cut a while ago."""

import select
import time
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool

USED = "threadhub_used"  # attribute of the psycopg connection: when it was given back, by the monotonic clock
EMPTIED = "threadhub_emptied"  # attribute of the pool: when connections were cut, and it got rid of all
# Seconds that a connection lay in the pool. To look lets other threads go first, so one that worked at this moment is
# not looked at, unless another was found to be cut: a restart is met by those who were about to ask, and by no others.
LOOKED_AT_AFTER = 0.05
ASKED_AFTER = 2.0
EMPTIED_AGAIN_AFTER = 1.0  # who took a connection before the others were gone finds it cut, where new ones lie already

_trouble_until = 0.0


def note_trouble() -> None:
    """A connection was cut while it was used: others may be too, and are looked at."""
    global _trouble_until
    _trouble_until = time.monotonic() + ASKED_AFTER


def note_use(connection: Any) -> None:
    """The connection is about to be given back, and has just worked."""
    setattr(connection, USED, time.monotonic())


def check(connection: Any) -> None:
    """Raise where the connection is cut. One that worked at this moment is taken as it is, one that has just worked is
    only looked at, others are asked.

    A server that ends, or ends a connection, says so and closes it: something comes that nobody asked for. Only of a
    machine that is gone nothing comes, and who used the connection a moment ago would have met that as well.
    """
    if not _is_doubtful(connection):
        return
    try:
        ConnectionPool.check_connection(connection)
    except psycopg.Error:
        if _is_to_be_emptied(connection._pool):
            connection._pool.drain()
        raise


async def check_async(connection: Any) -> None:
    """The same in an event loop."""
    if not _is_doubtful(connection):
        return
    try:
        await AsyncConnectionPool.check_connection(connection)
    except psycopg.Error:
        if _is_to_be_emptied(connection._pool):
            await connection._pool.drain()
        raise


def _is_to_be_emptied(pool: Any) -> bool:
    """Where one connection is cut, the others that lie in the pool are as well: a restart cuts them all. Each that was
    tried for itself would be a longer pause, of seconds (psycopg_pool doubles them): five, and the request has waited
    as long as it may."""
    now = time.monotonic()
    if now - getattr(pool, EMPTIED, -EMPTIED_AGAIN_AFTER) < EMPTIED_AGAIN_AFTER:
        return False
    setattr(pool, EMPTIED, now)
    return True


async def note_use_async(connection: Any) -> None:
    """The same as what an asynchronous pool calls when a connection comes back."""
    note_use(connection)


def _is_doubtful(connection: Any) -> bool:
    used = getattr(connection, USED, None)
    now = time.monotonic()
    idle = now - used if used is not None else ASKED_AFTER
    is_looked_at = idle >= LOOKED_AT_AFTER or now < _trouble_until
    return idle >= ASKED_AFTER or (is_looked_at and _has_something_to_say(connection))


def _has_something_to_say(connection: Any) -> bool:
    poll = select.poll()  # `select` knows no descriptor beyond 1,024, and streams take thousands
    poll.register(connection.pgconn.socket, select.POLLIN | select.POLLERR | select.POLLHUP)
    return bool(poll.poll(0))
