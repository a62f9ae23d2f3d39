"""Access that is out of the ordinary: ids walked through, bursts of reads, a key used from a new address.

A request only counts in its process's memory. Every few seconds the counts go into small tables, added up over all
processes; whoever's flush passes a limit raises the alert, once per actor, kind and window.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, close_old_connections, transaction

from threadhub.audit import sql
from threadhub.audit.models import AccessAlert
from threadhub.audit.origins import origin
from threadhub.audit.recording import By, Who, record
from threadhub.isolation.scope import Door, by_door
from threadhub.lib import ids as wire

logger = logging.getLogger(__name__)

Key = tuple[UUID, str]  # workspace, identity
REMEMBERED = 10_000  # distinct missing ids of one actor, and addresses of all actors, at most


@dataclass(slots=True)
class _Tally:
    """What one actor did since the last flush; `missing` holds this window's distinct ids, `told` those flushed."""

    reads: int = 0
    missing: set[bytes] = field(default_factory=set)
    told: int = 0


_lock = threading.Lock()
_tallies: dict[Key, _Tally] = {}
_window = 0
_new_addresses: set[tuple[UUID, str, str]] = set()
_known_addresses: OrderedDict[tuple[UUID, str, str], None] = OrderedDict()


def read(*, actor: Who) -> None:
    """Count something that was read."""
    if actor.workspace_id is not None:
        with _lock:
            _tally(actor).reads += 1
            _note_address(actor)


def missing(*, actor: Who, path: str) -> None:
    """Count an address under which the actor found nothing; the same one counts once in a window."""
    if actor.workspace_id is not None:
        with _lock:
            tally = _tally(actor)
            if len(tally.missing) < REMEMBERED:
                tally.missing.add(blake2b(path.encode(), digest_size=8).digest())


def _tally(actor: Who) -> _Tally:
    assert actor.workspace_id is not None  # noqa: S101  asked by both callers
    return _tallies.setdefault((actor.workspace_id, actor.identity), _Tally())


def _note_address(actor: Who) -> None:
    address = origin.get().address
    if not address or not actor.identity.startswith("key:") or actor.workspace_id is None:
        return
    seen = (actor.workspace_id, actor.identity, address)
    if seen in _known_addresses:
        _known_addresses.move_to_end(seen)
    else:
        _new_addresses.add(seen)


@by_door(Door.UPKEEP)
def flush() -> int:
    """Add this process's counts to the tables and raise what passed a limit; returns how many alerts."""
    with _lock:
        counts, addresses = _take()
    if not counts and not addresses:
        return 0
    raised = 0
    with transaction.atomic():
        window = sql.window_start(settings.ACCESS_WINDOW_SECONDS)
        for (workspace_id, identity, kind), count in sorted(counts.items()):
            total = sql.add_access(
                workspace_id=workspace_id, actor=identity, kind=kind, window_start=window, count=count
            )
            if total >= limit_of(kind, identity):
                raised += _alert(workspace_id, identity, kind, window, count=total)
        for workspace_id, identity, address in sorted(addresses):
            if sql.add_address(workspace_id=workspace_id, actor=identity, address=address):
                raised += _alert(workspace_id, identity, AccessAlert.Kind.NEW_ADDRESS, window, address=address)
    with _lock:
        for seen in addresses:
            _known_addresses[seen] = None
        while len(_known_addresses) > REMEMBERED:
            _known_addresses.popitem(last=False)
    return raised


def forget() -> None:
    """Drop what was counted and not flushed, and the addresses known: for a process that starts anew."""
    with _lock:
        _tallies.clear()
        _new_addresses.clear()
        _known_addresses.clear()


def limit_of(kind: str, identity: str) -> int:
    """From how many in a window on it is out of the ordinary."""
    if kind == AccessAlert.Kind.MISSING:
        return int(settings.ACCESS_MISSING_LIMIT)
    if identity.startswith("key:"):
        return int(settings.ACCESS_KEY_READS_LIMIT)
    return int(settings.ACCESS_READS_LIMIT)


def _take() -> tuple[Mapping[tuple[UUID, str, str], int], set[tuple[UUID, str, str]]]:
    """What was counted since the last flush. Called under the lock."""
    counts: dict[tuple[UUID, str, str], int] = {}
    for (workspace_id, identity), tally in list(_tallies.items()):
        if tally.reads:
            counts[workspace_id, identity, AccessAlert.Kind.READS] = tally.reads
        if len(tally.missing) > tally.told:
            counts[workspace_id, identity, AccessAlert.Kind.MISSING] = len(tally.missing) - tally.told
        tally.reads, tally.told = 0, len(tally.missing)
    _begin_window_anew()
    addresses = set(_new_addresses)
    _new_addresses.clear()
    return counts, addresses


def _begin_window_anew() -> None:
    """Forget the distinct ids of a window that is over."""
    global _window
    now = int(time.monotonic() // settings.ACCESS_WINDOW_SECONDS)
    if now != _window:
        _window = now
        _tallies.clear()


def _alert(
    workspace_id: UUID, identity: str, kind: str, window: datetime, *, count: int = 1, address: str | None = None
) -> bool:
    """Raise an alert unless this window has it already; it is an event of the trail too."""
    alert_id = sql.add_alert(
        workspace_id=workspace_id, actor=identity, kind=kind, window_start=window, count=count, address=address
    )
    if alert_id is None:
        return False
    wire_id = wire.encode(AccessAlert.PREFIX, alert_id)
    details = {"kind": kind, "actor": identity, "count": count, "address": address}
    record(actor=By("system", workspace_id), action="access.alert", ids=[wire_id], details=details)
    return True


def watch(every_seconds: float) -> threading.Thread:
    """Flush from now on, as long as this process lives. A fault is logged, and the next flush comes all the same."""

    def work() -> None:
        while True:
            time.sleep(every_seconds)
            try:
                flush()
            except DatabaseError as error:
                logger.warning("access counts were not stored: %s", error)
            finally:
                close_old_connections()

    thread = threading.Thread(target=work, name="watching", daemon=True)
    thread.start()
    return thread
