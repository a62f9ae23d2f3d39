"""Threads of a list as they were written out a moment ago: a row that is still the same, under the same policies and
holds, is not written out again. What is remembered is a function of the row, of what is in force and of the moment, so
it cannot be out of date; a thread has one place in it, and the oldest make room.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from threadhub.api.rest.representations import from_rows
from threadhub.lib import json
from threads.lifecycle.expiry import Expiry, Outlook
from threads.lifecycle.in_force import InForce
from threads.thread_rows import Page, ThreadRow

REMEMBERED = 4096  # threads; one takes some 2 KB
LARGEST = 4096  # bytes: what has more metadata is written out each time


@dataclass(frozen=True, slots=True)
class _Written:
    """The same while the row is, what is in force is, and the moment is in [since, until)."""

    row: ThreadRow
    in_force: InForce | None
    since: datetime
    until: datetime | None
    text: orjson.Fragment


_lock = threading.Lock()
_known: dict[UUID, _Written] = {}


def page(found: Page, *, now: datetime) -> list[orjson.Fragment]:
    """As `from_rows.page`, each thread as JSON that stands for itself."""
    return list(_each(found, now))


def forget() -> None:
    """All that is remembered: for a process that starts anew."""
    with _lock:
        _known.clear()


def _each(found: Page, now: datetime) -> Iterator[orjson.Fragment]:
    expiry: Expiry | None = None
    for row in found.rows:
        known = _known.get(row.id)
        if known is not None and known.in_force is found.in_force and known.row == row and _is_within(now, known):
            yield known.text
        elif found.in_force is None:
            yield _write(row, None, now, from_rows.NOTHING_AHEAD, None)
        else:
            expiry = expiry or Expiry(workspace_id=row.workspace_id, now=now, known=found.in_force)
            yield _write(row, found.in_force, now, *expiry.and_until(row))


def _is_within(now: datetime, known: _Written) -> bool:
    return known.since <= now and (known.until is None or now < known.until)


def _write(
    row: ThreadRow, in_force: InForce | None, now: datetime, outlook: Outlook, until: datetime | None
) -> orjson.Fragment:
    text = json.dumps_stored(from_rows.thread(row, outlook))
    fragment = orjson.Fragment(text)
    if len(text) <= LARGEST:
        with _lock:
            _known.pop(row.id, None)
            _known[row.id] = _Written(row, in_force, now, until, fragment)
            while len(_known) > REMEMBERED:
                del _known[next(iter(_known))]
    return fragment
