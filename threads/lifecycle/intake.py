"""The rows of archived threads on their way into the tables, lot by lot: while the database takes one lot in, the next
is read. Only what was compared with its hash comes here, and all of it is one transaction.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

import psycopg
from django.db import DataError, IntegrityError

from threads import search_backlog, tool_uses
from threads.lifecycle.bundles import records
from threads.lifecycle.bundles.reader import ThreadReader
from threads.lifecycle.bundles.verify import Damaged
from threads.lifecycle.in_flight import Statement
from threads.lifecycle.staging import MODELS, RestoreConflict, Staged, Values
from threads.models import Thread

LOT_BYTES = 4 * 2**20  # of lines, of one kind, until their rows go to the database


def insert(readers: Sequence[ThreadReader], *, before: int = 0) -> int:
    """The rows of archived threads into their tables, once a thread was read and is what was archived; returns how many
    messages. `before`: how many the same command brought before. Inside a transaction, which the caller takes back when
    this raises RestoreConflict or Damaged."""
    messages = sum(int(reader.entry.counts.get("message", 0)) for reader in readers)
    if not readers:
        return 0
    workspace_id, thread_ids = readers[0].entry.workspace_id, [reader.entry.thread_id for reader in readers]
    intake = Intake(
        searchable=search_backlog.is_at_once(messages=messages, before=before),
        new=Staged("message").is_new(workspace_id=workspace_id, thread_ids=thread_ids),
    )
    calling: list[UUID] = []
    path = ""
    try:
        for reader in readers:
            path = reader.path
            if _read(reader, intake):
                calling.append(reader.entry.thread_id)
        counts = intake.end()
    except (records.BadRecord, DataError, psycopg.DataError) as error:
        raise Damaged(path, f"a record cannot be read ({' '.join(str(error).split())})") from error
    finally:
        intake.abandon()
    if calling:
        tool_uses.note_all(thread_ids=calling, workspace_id=workspace_id)
    return counts["message"]


def _read(reader: ThreadReader, intake: "Intake") -> bool:
    """Whether a tool was called in the thread."""
    calls = False
    thread_id, workspace_id = str(reader.entry.thread_id), str(reader.entry.workspace_id)
    for line, record in reader.proved():
        kind = record["type"]
        own = record.get("id" if kind == "thread" else "thread_id"), record.get("workspace_id")
        if own != (thread_id, workspace_id):
            raise RestoreConflict("The bundle holds rows of another thread or workspace; nothing was restored.")
        if kind == "thread":
            records.values(record, Thread)  # its row is there; that it could be read is part of the proof
        else:
            intake.put(kind, record, len(line))
            calls = calls or bool(record.get("tool_calls"))
    return calls


class Intake:
    """Rows of all kinds. A line only points at lines before it, so no lot overtakes one of a kind before its own.
    `new`: their threads, which are locked, have no messages."""

    def __init__(self, *, searchable: bool, new: bool) -> None:
        self.searchable, self.new = searchable, new
        self.lots = {kind: _Lot(kind) for kind in MODELS}
        self.counts: Counter[str] = Counter()
        self.moving: tuple[Staged, Statement] | None = None

    def put(self, kind: str, record: dict[str, Any], size: int) -> None:
        """Take a record, of a line of so many bytes. Raises BadRecord, RestoreConflict, DataError."""
        lot = self.lots[kind]
        lot.rows.append(lot.row(record))
        lot.size += size
        if lot.size >= LOT_BYTES:
            self._move(kind)

    def end(self) -> Counter[str]:
        """All that was put is in the tables; how many rows of each kind. Raises RestoreConflict, DataError."""
        self._move("")
        self._settle()
        return self.counts

    def abandon(self) -> None:
        """Nothing is on its way any more; for the transaction to be taken back."""
        if self.moving is not None:
            self.moving[1].abandon()
            self.moving = None

    def _move(self, last: str) -> None:
        """Send what has come of each kind up to the last."""
        for kind, lot in self.lots.items():
            if lot.rows:
                self._settle()
                staged = lot.staged.open() if not lot.size_before else lot.staged
                staged.copy(lot.rows)
                lot.empty()
                self.moving = staged, staged.begin(searchable=self.searchable, new=self.new)
            if kind == last:
                return

    def _settle(self) -> None:
        if self.moving is not None:
            (staged, statement), self.moving = self.moving, None
            try:
                inserted = statement.rows()
            except IntegrityError as error:
                if isinstance(error.__cause__, psycopg.errors.UniqueViolation):
                    raise staged.place_taken() from error
                raise
            self.counts[staged.kind] += staged.end(inserted)


class _Lot:
    """Rows of one kind, as many as are worth a COPY."""

    def __init__(self, kind: str) -> None:
        self.staged = Staged(kind)
        self.rows: list[Values] = []
        self.size = self.size_before = 0
        self.row = _row_of(self.staged)

    def empty(self) -> None:
        self.rows, self.size, self.size_before = [], 0, self.size_before + self.size


def _row_of(staged: Staged) -> Callable[[dict[str, Any]], Values]:
    """How a record becomes a row of COPY: the texts as they are, which the database reads by itself."""
    layout = {column.name: column for column in records.columns(MODELS[staged.kind])}
    columns = [layout[name] for name in staged.names]
    sent = [(number, column.send) for number, column in enumerate(columns) if column.send is not None]
    all_of, known, width = itemgetter(*staged.names), layout.keys() | {"type"}, len(columns) + 1
    usual: tuple[str, ...] = ()  # the names of the record before, which most have in the same order

    def row(record: dict[str, Any]) -> Values:
        nonlocal usual
        if (names := tuple(record)) != usual:
            if len(record) != width or not record.keys() <= known:
                return staged.older(record)
            usual = names
        values = list(all_of(record))
        for number, send in sent:
            if values[number] is not None:
                values[number] = send(values[number])
        return values

    return row
