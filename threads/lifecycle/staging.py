"""Rows of bundles and imports on their way into the tables: put beside them first, then in, all or none.

An identical row that is there already is left alone; a differing one, or one whose place another has, is refused.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection, models
from psycopg import sql
from psycopg.types.json import Jsonb

from threadhub.lib.errors import Conflict
from threads import search_backlog
from threads.lifecycle.bundles import records
from threads.lifecycle.in_flight import Statement
from threads.path import PathField

# Made once in a transaction, however many threads: each making takes locks that are kept until its end.
BESIDE = "CREATE TEMP TABLE IF NOT EXISTS {staged} (LIKE {table} INCLUDING DEFAULTS) ON COMMIT DROP"
# A tool that was removed since is no longer pointed at, as with live rows.
TOOL_GONE = """
UPDATE {staged} AS staged SET tool_id = NULL
 WHERE NOT EXISTS (SELECT FROM agents_tool AS tool
                    WHERE tool.id = staged.tool_id AND tool.workspace_id = staged.workspace_id)
"""
INSERT = "INSERT INTO {table} ({columns}) SELECT {columns} FROM {staged} ON CONFLICT DO NOTHING"
# Of messages: whether search learns of them at once, or later (threads/search_backlog.py).
INSERT_MESSAGES = """
INSERT INTO {{table}} ({{columns}}, searchable) SELECT {{columns}}, {searchable} FROM {{staged}} {conflict}
"""
CONFLICT = "ON CONFLICT DO NOTHING"  # a third of an insertion
DIFFERING = """
SELECT staged.id FROM {staged} AS staged JOIN {table} AS there USING (id, workspace_id)
 WHERE to_jsonb(staged) - 'searchable' IS DISTINCT FROM to_jsonb(there) - 'searchable' LIMIT 1
"""
ANY_THERE = "SELECT EXISTS (SELECT FROM {table} WHERE workspace_id = %s AND thread_id = ANY(%s))"
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
        columns = {column.name for column in records.columns(MODELS[kind])}
        self.fields = [field for field in MODELS[kind]._meta.concrete_fields if field.column in columns]
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

    def is_new(self, *, workspace_id: UUID, thread_ids: Sequence[UUID]) -> bool:
        """Whether these threads have no row in the table."""
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(ANY_THERE).format(**self.parts), [workspace_id, list(thread_ids)])
            return not cursor.fetchone()[0]

    def move(self, *, searchable: bool = True) -> int:
        """Put what is beside the table into it; returns how many rows. Messages that are not `searchable` yet search
        learns of later. Raises RestoreConflict."""
        return self.end(self.begin(searchable=searchable).rows()) if self.count else 0

    def begin(self, *, searchable: bool, new: bool = False) -> Statement:
        """Send the statement that puts it there; its rows are for `end`, before anything else is asked. Of `new`
        messages, whose threads have none, one that is there already is an IntegrityError."""
        if self.kind == "approval":
            self._execute(TOOL_GONE)
        insert = INSERT
        if self.kind == "message":
            insert = INSERT_MESSAGES.format(searchable=searchable, conflict="" if new else CONFLICT)
        return Statement(sql.SQL(insert).format(**self.parts))

    def end(self, inserted: int) -> int:
        """Look at what became of it; returns how many rows. Raises RestoreConflict."""
        if inserted != self.count:  # something was there
            self._compare()
        self._execute("TRUNCATE {staged}")
        count, self.count = self.count, 0
        return count

    def older(self, record: dict[str, Any]) -> Values:
        """The row of a record that does not have every column, or others. Raises BadRecord."""
        values = records.values(record, MODELS[self.kind])
        return [_value(field, values) for field in self.fields]

    def _compare(self) -> None:
        """Raise RestoreConflict for the first row that is there with another content, or not at all."""
        row = self._one(DIFFERING)
        if row is not None:
            raise RestoreConflict(
                f"The {self.kind} {row[0]} is there already with another content; nothing was restored."
            )
        there = self._one(THERE)
        if there is None or there[0] != self.count:
            raise self.place_taken()

    def place_taken(self) -> RestoreConflict:
        return RestoreConflict(f"Another {self.kind} has the place of one in the bundle; nothing was restored.")

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


def stage(kind: str, rows: Iterator[dict[str, Any]], thread_id: UUID, workspace_id: UUID, *, before: int = 0) -> int:
    """Records of one kind and thread, read with all care; returns how many. `before`: how many messages the same import
    brought before. Raises RestoreConflict, BadRecord."""
    staged = Staged(kind).open()
    staged.copy(_checked(staged, rows, thread_id, workspace_id))
    return staged.move(searchable=search_backlog.is_at_once(messages=staged.count, before=before))


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
