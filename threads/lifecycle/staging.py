"""Rows of bundles and imports on their way into the tables: put beside them first, then in, all or none.

An identical row that is there already is left alone; a differing one, or one whose place another has, is refused.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any
from uuid import UUID

import psycopg
from django.db import DataError, connection, models
from psycopg import sql
from psycopg.types.json import Jsonb

from threadhub.lib.errors import Conflict
from threads import tool_uses
from threads.lifecycle.bundles import records
from threads.lifecycle.bundles.reader import ThreadReader
from threads.lifecycle.bundles.verify import Damaged
from threads.models import Thread
from threads.path import PathField

COPY_BYTES = 4 * 2**20  # of lines, of one kind, until their rows go to the database
# Made once in a transaction, however many threads: each making takes locks that are kept until its end.
BESIDE = "CREATE TEMP TABLE IF NOT EXISTS {staged} (LIKE {table} INCLUDING DEFAULTS) ON COMMIT DROP"
# A tool that was removed since is no longer pointed at, as with live rows.
TOOL_GONE = """
UPDATE {staged} AS staged SET tool_id = NULL
 WHERE NOT EXISTS (SELECT FROM agents_tool AS tool
                    WHERE tool.id = staged.tool_id AND tool.workspace_id = staged.workspace_id)
"""
INSERT = "INSERT INTO {table} ({columns}) SELECT {columns} FROM {staged} ON CONFLICT DO NOTHING"
DIFFERING = """
SELECT staged.id FROM {staged} AS staged JOIN {table} AS there USING (id, workspace_id)
 WHERE to_jsonb(staged) IS DISTINCT FROM to_jsonb(there) LIMIT 1
"""
THERE = "SELECT count(DISTINCT id) FROM {staged} JOIN {table} USING (id, workspace_id)"
MODELS: dict[str, type[models.Model]] = {kind: model for kind, model, _ in records.PARTS}
Values = Sequence[Any]


class RestoreConflict(Conflict):
    """A row with the same id and another content is there already; nothing was restored."""

    code = "restore_conflict"


class Staged:
    """The table beside the one of a kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.fields = list(MODELS[kind]._meta.concrete_fields)
        self.names = [str(field.column) for field in self.fields]
        self.parts = {
            "table": sql.Identifier(MODELS[kind]._meta.db_table),
            "staged": sql.Identifier(f"restored_{kind}"),
            "columns": sql.SQL(", ").join([sql.Identifier(name) for name in self.names]),
        }
        self.count = 0

    def open(self) -> "Staged":
        """It is there, and empty."""
        self._execute(BESIDE)
        return self

    def copy(self, rows: Iterable[Values]) -> None:
        """Put rows beside the table. Raises BadRecord for a value that no column takes."""
        with connection.cursor() as cursor:
            statement = sql.SQL("COPY {staged} ({columns}) FROM STDIN").format(**self.parts)
            with connection.wrap_database_errors, cursor.copy(statement) as copy:
                for row in rows:
                    try:
                        copy.write_row(row)
                    except psycopg.ProgrammingError as error:  # before the database saw it
                        raise records.BadRecord(f"a {self.kind} cannot be written: {error}") from error
                    self.count += 1

    def move(self) -> int:
        """Put what is beside the table into it; returns how many rows. Raises RestoreConflict."""
        if not self.count:
            return 0
        if self.kind == "approval":
            self._execute(TOOL_GONE)
        if self._execute(INSERT) != self.count:  # something was there
            self._compare()
        self._execute("TRUNCATE {staged}")
        count, self.count = self.count, 0
        return count

    def _compare(self) -> None:
        """Raise RestoreConflict for the first row that is there with another content, or not at all."""
        row = self._one(DIFFERING)
        if row is not None:
            raise RestoreConflict(
                f"The {self.kind} {row[0]} is there already with another content; nothing was restored."
            )
        there = self._one(THERE)
        if there is None or there[0] != self.count:
            raise RestoreConflict(f"Another {self.kind} has the place of one in the bundle; nothing was restored.")

    def _execute(self, statement: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(**self.parts))
            return int(cursor.rowcount)

    def _one(self, statement: str) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(**self.parts))
            return cursor.fetchone()


def prepare() -> None:
    """Make all the tables now: in the outer transaction of several attempts, each of which may be taken back."""
    for kind in MODELS:
        Staged(kind).open()


def insert(readers: Sequence[ThreadReader]) -> int:
    """The rows of archived threads into their tables, once all of them were read and are what was archived; returns how
    many messages. Inside a transaction. Raises RestoreConflict, Damaged."""
    lots = {kind: _Lot(kind) for kind in MODELS}
    calling: list[UUID] = []
    path = ""
    try:
        for reader in readers:
            path = reader.path
            if _read(reader, lots):
                calling.append(reader.entry.thread_id)
        for lot in lots.values():
            lot.copy()
    except (records.BadRecord, DataError, psycopg.DataError) as error:
        raise Damaged(path, f"a record cannot be read ({' '.join(str(error).split())})") from error
    counts = {kind: lot.staged.move() for kind, lot in lots.items()}
    if calling:
        tool_uses.note_all(thread_ids=calling, workspace_id=readers[0].entry.workspace_id)
    return counts["message"]


def stage(kind: str, rows: Iterator[dict[str, Any]], thread_id: UUID, workspace_id: UUID) -> int:
    """Records of one kind and thread, read with all care; returns how many. Raises RestoreConflict, BadRecord."""
    staged = Staged(kind).open()
    staged.copy(_checked(staged, rows, thread_id, workspace_id))
    return staged.move()


def _read(reader: ThreadReader, lots: dict[str, "_Lot"]) -> bool:
    """Whether a tool was called in the thread."""
    calls = False
    thread_id, workspace_id = str(reader.entry.thread_id), str(reader.entry.workspace_id)
    for line, record in reader.checked():
        kind = record["type"]
        own = record.get("id" if kind == "thread" else "thread_id"), record.get("workspace_id")
        if own != (thread_id, workspace_id):
            raise RestoreConflict("The bundle holds rows of another thread or workspace; nothing was restored.")
        if kind == "thread":
            records.values(record, Thread)  # its row is there; that it could be read is part of the proof
        else:
            lots[kind].put(record, len(line))
            calls = calls or bool(record.get("tool_calls"))
    return calls


class _Lot:
    """Records of one kind, as many as are worth a COPY."""

    def __init__(self, kind: str) -> None:
        self.staged = Staged(kind)
        self.rows: list[Values] = []
        self.size = 0
        self.row = _row_of(self.staged)

    def put(self, record: dict[str, Any], size: int) -> None:
        self.rows.append(self.row(record))
        self.size += size
        if self.size >= COPY_BYTES:
            self.copy()

    def copy(self) -> None:
        """Put what has come beside the table."""
        if not self.rows:
            return
        if not self.staged.count:
            self.staged.open()
        self.staged.copy(self.rows)
        self.rows, self.size = [], 0


def _row_of(staged: Staged) -> Callable[[dict[str, Any]], Values]:
    """How a record becomes a row of COPY: the texts as they are, which the database reads by itself."""
    layout = {column.name: column for column in records.columns(MODELS[staged.kind])}
    columns = [layout[name] for name in staged.names if name in layout]
    sent = [(number, column.send) for number, column in enumerate(columns) if column.send is not None]
    all_of, known, width = itemgetter(*staged.names), layout.keys() | {"type"}, len(columns) + 1

    def row(record: dict[str, Any]) -> Values:
        if len(record) != width or not record.keys() <= known:
            return _older(staged, record)
        values = list(all_of(record))
        for number, send in sent:
            if values[number] is not None:
                values[number] = send(values[number])
        return values

    return row


def _older(staged: Staged, record: dict[str, Any]) -> Values:
    """The row of a record that does not have every column, or others. Raises BadRecord."""
    values = records.values(record, MODELS[staged.kind])
    return [_value(field, values) for field in staged.fields]


def _checked(staged: Staged, rows: Iterator[dict[str, Any]], thread_id: UUID, workspace_id: UUID) -> Iterator[Values]:
    for record in rows:
        values = records.values(record, MODELS[staged.kind])
        if (values["thread_id"], values["workspace_id"]) != (thread_id, workspace_id):
            raise RestoreConflict("The bundle holds rows of another thread or workspace; nothing was restored.")
        yield [_value(field, values) for field in staged.fields]


def _value(field: Any, row: dict[str, Any]) -> Any:
    """A column's value for COPY; of a column that the bundle's version did not know, the default."""
    value = row[field.attname] if field.attname in row else field.get_default()
    if isinstance(field, PathField) and value is not None:
        return str(value)
    if isinstance(field, models.JSONField) and value is not None:
        return Jsonb(value)
    return value
