"""Keys of servers that were looked up a moment ago, so that most requests need no statement to know who asks.

A key is known for KNOWN_SECONDS, and only while this process hears of changes: PostgreSQL tells of every statement
that touches what a key may do (migration 0006), and all keys are forgotten at once. A process that has not heard the
database answer within HEARD_SECONDS knows no key, and looks each of them up. So a revoked key is refused at once, and
at the very latest after a second, when the network drops what is told.
"""

import logging
import select
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from threadhub.embedded import EmbeddedPostgresError, direct
from threadhub.lib import secrets
from threadhub.workspaces import keys
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import ApiKey

logger = logging.getLogger(__name__)

CHANNEL = "api_key_changes"
KNOWN_SECONDS = 5.0
HEARD_SECONDS = 1.0
ASK_EVERY = HEARD_SECONDS / 3
RECONNECT_AFTER = 0.5
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    actor: Actor
    until: float  # by the monotonic clock
    good_until: datetime | None  # by its expiry, or as a secret that was rotated


_lock = threading.Lock()
_known: OrderedDict[bytes, _Known] = OrderedDict()
_changes = 0  # how often all were forgotten: what was read before the last time is not kept
_heard_until = 0.0


def find(*, secret: str, now: datetime) -> Actor | None:
    """The actor of a key that is known; None: it must be looked up."""
    return known(secrets.digest(secret), now=now)


def known(digest: bytes, *, now: datetime) -> Actor | None:
    """The same by the digest of a key."""
    if time.monotonic() >= _heard_until:
        return None
    found = _known.get(digest)
    if found is None or time.monotonic() >= found.until or (found.good_until is not None and now >= found.good_until):
        return None
    return found.actor


def look_up(*, secret: str, now: datetime) -> Actor:
    """As `keys.authenticate`; a server's key is known from then on. Raises InvalidKey."""
    changes = _changes
    key = keys.find(secret=secret, now=now)
    actor = keys.actor_of(key)
    if key.kind == ApiKey.Kind.WORKSPACE and time.monotonic() < _heard_until:
        _keep(secrets.digest(secret), key, actor, changes)
    return actor


def _keep(digest: bytes, key: ApiKey, actor: Actor, changes: int) -> None:
    ends = [key.expires_at, None if bytes(key.digest) == digest else key.previous_until]
    known = _Known(actor, time.monotonic() + KNOWN_SECONDS, min((end for end in ends if end is not None), default=None))
    with _lock:
        if changes == _changes:
            _known[digest] = known
            while len(_known) > REMEMBERED:
                _known.popitem(last=False)


def forget() -> None:
    """All of them: something was changed."""
    global _changes
    with _lock:
        _changes += 1
        _known.clear()


def listen() -> threading.Thread:
    """Hear of changes from now on, as long as this process lives; while there is no connection no key is known."""

    def work() -> None:
        while True:
            try:
                hear()
            except (psycopg.Error, EmbeddedPostgresError) as error:
                logger.warning("lost the connection that hears of changed keys: %s", error)
            time.sleep(RECONNECT_AFTER)

    thread = threading.Thread(target=work, name="known keys", daemon=True)
    thread.start()
    return thread


def hear(over: Callable[[], bool] = lambda: False) -> None:
    """Forget all keys whenever one is changed, until `over`, or for ever. Raises what psycopg and the embedded server
    do."""
    global _heard_until
    with psycopg.connect(**direct.parameters(), autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        connection.add_notify_handler(_told)
        forget()  # what was told before nobody heard
        while not over():
            asked = time.monotonic()
            connection.execute("SELECT 1")  # with its answer comes what was told before
            _heard_until = asked + HEARD_SECONDS
            select.select([connection.fileno()], [], [], ASK_EVERY)


def _told(notification: Any) -> None:
    forget()
