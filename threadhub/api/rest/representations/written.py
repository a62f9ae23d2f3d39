"""Threads and their messages as they were written out a moment ago. What is still the same is not written out again:
of a list's thread its row, under the same policies and holds; of a thread's messages its version (whole_rows.VERSION),
for which they need not even be read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from threadhub.api.rest.representations import from_rows
from threadhub.lib import json
from threadhub.lib.remembered import Remembered
from threads.lifecycle.expiry import Expiry, Outlook
from threads.thread_rows import Page, ThreadRow
from threads.whole_rows import Whole

ROWS = 4096
LARGEST_ROW = 4096  # bytes: what has more metadata is written out each time
ENTRY = 512  # bytes that a thread's messages take besides their text, roughly


@dataclass(frozen=True, slots=True)
class _Row:
    """The same while the row is, what is in force is, and the moment is in [since, until)."""

    row: ThreadRow
    mark: object | None  # of what was in force, which itself may be large
    since: datetime
    until: datetime | None
    text: orjson.Fragment


@dataclass(frozen=True, slots=True)
class Messages:
    """A thread's, as one JSON array."""

    version: str
    text: orjson.Fragment
    length: int


_rows: Remembered[int, _Row] = Remembered(ROWS)  # by the number of the id, which is hashed faster
_messages: Remembered[tuple[UUID, str], Messages] = Remembered(
    settings.MESSAGES_REMEMBERED_BYTES, lambda messages: messages.length + ENTRY
)


def page(found: Page, *, now: datetime) -> tuple[list[Any], datetime | None]:
    """As `from_rows.page`, with the moment when the first of them is to be shown otherwise (None: of no use, or never);
    threads of a page that is asked for again, each as JSON that stands for itself."""
    if not found.is_asked_again:
        return from_rows.page(found, now=now), None
    rows = list(_each(found, now))
    return [row.text for row in rows], min((row.until for row in rows if row.until is not None), default=None)


def messages_of(thread_id: UUID, threads_path: str) -> Messages | None:
    """What is remembered of a thread's messages, as they are shown below a path."""
    return _messages.get((thread_id, threads_path))


def whole(found: Whole, context: dict[str, Any], known: Messages | None, *, outlook: Outlook) -> dict[str, Any]:
    """As `from_rows.threads_with_messages`, of one; `known`: what was remembered when it was read."""
    if known is None or known.version != found.version:
        shown = from_rows.messages(found, found.messages, context)
        text = json.dumps_stored(shown)
        known = Messages(found.version, orjson.Fragment(text), len(text))
        if not found.files:  # what a file is, is told by rows of its own
            _messages.put((found.thread.id, context["threads_path"]), known)
    return {**from_rows.thread(found.thread, outlook), "messages": known.text}


def _each(found: Page, now: datetime) -> Iterator[_Row]:
    expiry: Expiry | None = None
    mark = found.in_force.mark if found.in_force is not None else None
    for row, known in zip(found.rows, _rows.get_all([row.id.int for row in found.rows]), strict=True):
        if known is not None and known.mark is mark and known.row == row and _is_within(now, known):
            yield known
        elif found.in_force is None:
            yield _write(row, mark, now, from_rows.NOTHING_AHEAD, None)
        else:
            expiry = expiry or Expiry(workspace_id=row.workspace_id, now=now, known=found.in_force)
            yield _write(row, mark, now, *expiry.and_until(row))


def _is_within(now: datetime, known: _Row) -> bool:
    return known.since <= now and (known.until is None or now < known.until)


def _write(row: ThreadRow, mark: object | None, now: datetime, outlook: Outlook, until: datetime | None) -> _Row:
    text = json.dumps_stored(from_rows.thread(row, outlook))
    made = _Row(row, mark, now, until, orjson.Fragment(text))
    if len(text) <= LARGEST_ROW:
        _rows.put(row.id.int, made)
    return made
