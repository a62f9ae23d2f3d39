"""The live rows of many threads as lines of a bundle: one pass of the database over each table, whatever the number of
threads, and a few hundred rows of each in memory.

Gives, byte for byte, what `archive.live_lines` gives thread by thread; the database writes ids and times itself.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db import connection, models

from threads.lifecycle.bundles import records
from threads.lifecycle.bundles.writer import Line
from threads.models import Thread

FIRST_ROWS, MOST_ROWS = 50, 2_000  # that the database's cursor hands over at a time
FETCH_BYTES = 4 * 2**20  # about so much of one table is in memory
# For each thread in turn its rows in their order: the join goes through the threads as they stand, and sorts nothing.
# `Lines` would notice if it did not.
ROWS = """
SELECT wanted.number, {columns}
  FROM unnest(%s::uuid[]) WITH ORDINALITY AS wanted (id, number)
 CROSS JOIN LATERAL (SELECT * FROM {table} AS part
                      WHERE part.workspace_id = %s AND part.{key} = wanted.id
                      ORDER BY part.{order} OFFSET 0) AS part
"""
SOURCES: tuple[tuple[str, type[models.Model], str, str], ...] = (
    ("thread", Thread, "id", "id"),
    *((kind, model, "thread_id", order) for kind, model, order in records.PARTS),
)


class Lines:
    """The lines of threads, to be taken in the order in which the threads were given."""

    def __init__(self, workspace_id: UUID, thread_ids: Sequence[UUID]) -> None:
        self.thread_ids = list(thread_ids)
        self.streams = [
            _Stream(_rows(kind, model, key, order, workspace_id, self.thread_ids))
            for kind, model, key, order in SOURCES
        ]

    def of(self, number: int) -> Iterator[Line]:
        """All lines of one thread, the first is number 1. Those of the threads before it must have been taken."""
        for stream in self.streams:
            yield from stream.take(number)

    def end(self) -> None:
        """Raise RuntimeError if anything was left: the database gave the rows in another order."""
        if any(stream.head is not None for stream in self.streams):
            raise RuntimeError("rows of threads that are archived were not in their order")


class _Stream:
    """The rows of one table with the number of their thread, the next one known."""

    def __init__(self, rows: Iterator[tuple[int, Line]]) -> None:
        self.rows = rows
        self.head: tuple[int, Line] | None = (0, Line("", 0, b""))  # nothing has been asked yet

    def take(self, number: int) -> Iterator[Line]:
        if self.head is not None and self.head[0] == 0:
            self.head = next(self.rows, None)
        while self.head is not None and self.head[0] == number:
            yield self.head[1]
            self.head = next(self.rows, None)


def _rows(
    kind: str, model: type[models.Model], key: str, order: str, workspace_id: UUID, thread_ids: list[UUID]
) -> Iterator[tuple[int, Line]]:
    layout = records.columns(model)
    names = ["type", *(column.name for column in layout)]  # where the type will be the database has put the number
    unfinished = [(column.name, column.finish) for column in layout if column.finish is not None]
    columns = ", ".join(column.select for column in layout)
    statement = ROWS.format(columns=columns, table=model._meta.db_table, key=key, order=order)
    encode, messages, attachments = records.encode, kind == "message", kind == "attachment"
    for row in _fetched(statement, [thread_ids, workspace_id]):
        record: dict[str, Any] = dict(zip(names, row, strict=True))
        record["type"] = kind
        for name, finish in unfinished:
            value = record[name]
            if value is not None:
                record[name] = finish(value)
        position = record["position"] if messages else 0
        yield row[0], Line(kind, position, encode(record), record["file"] if attachments else "")


def _fetched(statement: str, values: list[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement; fewer at a time the larger they are."""
    size = FIRST_ROWS
    with connection.chunked_cursor() as cursor:
        cursor.execute(statement, values)
        while rows := cursor.fetchmany(size):
            yield from rows
            sample = rows[::8]
            large = max(1, sum(len(value) for row in sample for value in row if type(value) is str))
            size = max(1, min(MOST_ROWS, 4 * size, FETCH_BYTES * len(sample) // large))
