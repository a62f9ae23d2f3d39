"""Connections that the threads of a process share, of which none is given out that a restart has cut."""

import select
import time
from typing import Any

from psycopg_pool import ConnectionPool

USED = "threadhub_used"  # attribute of the psycopg connection: when it was given back, by the monotonic clock
# Seconds that a connection lay in the pool. To look lets other threads go first, and a restart takes longer than the
# first of these: whoever comes within it finds no server either way.
LOOKED_AT_AFTER = 0.05
ASKED_AFTER = 2.0


def note_use(connection: Any) -> None:
    """The connection is about to be given back, and has just worked."""
    setattr(connection, USED, time.monotonic())


def check(connection: Any) -> None:
    """Raise where the connection is cut. One that has just worked is only looked at, others are asked.

    A server that ends, or ends a connection, says so and closes it: something comes that nobody asked for. Only of a
    machine that is gone nothing comes, and who used the connection a moment ago would have met that as well.
    """
    used = getattr(connection, USED, None)
    idle = time.monotonic() - used if used is not None else ASKED_AFTER
    if idle >= ASKED_AFTER or (idle >= LOOKED_AT_AFTER and _has_something_to_say(connection)):
        ConnectionPool.check_connection(connection)


def _has_something_to_say(connection: Any) -> bool:
    poll = select.poll()  # `select` knows no descriptor beyond 1,024, and streams take thousands
    poll.register(connection.pgconn.socket, select.POLLIN | select.POLLERR | select.POLLHUP)
    return bool(poll.poll(0))
