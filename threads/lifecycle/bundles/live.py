"""The live rows of many threads as lines of a bundle: one question, whatever the number of threads, and a few rows of
the answer in memory. The database writes the lines and is a little ahead while they are packed.

Gives, byte for byte, what `archive.live_lines` gives thread by thread.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from uuid import UUID

import psycopg
from django.db import Error, connection, models
from psycopg import sql

from threads.lifecycle.bundles import records
from threads.lifecycle.bundles.writer import Line
from threads.models import Thread

# For each thread in turn its rows, kind after kind: the join goes through the threads as they stand, and sorts nothing
# but what one thread has of one kind. `Lines` would notice if it did not.
ROWS = """
COPY (
SELECT wanted.number, part.kind, part.position, part.line
  FROM unnest({{threads}}) WITH ORDINALITY AS wanted (id, number)
 CROSS JOIN LATERAL ({parts}) AS part
) TO STDOUT
"""
PART = """(
SELECT '{kind}' AS kind, {position} AS position, {line} AS line
  FROM {table} AS part WHERE part.workspace_id = {{workspace}} AND part.{key} = wanted.id ORDER BY part.{order})"""
SOURCES: tuple[tuple[str, type[models.Model], str, str], ...] = (
    ("thread", Thread, "id", "id"),
    *((kind, model, "thread_id", order) for kind, model, order in records.PARTS),
)
BREAK = "\x1e"  # stands in no JSON, and COPY leaves it as it is
Finish = Callable[[bytes], bytes]


class Lines:
    """The lines of threads, to be taken in the order in which the threads were given. Nothing else is asked of the
    connection until the last is taken."""

    def __init__(self, workspace_id: UUID, thread_ids: Sequence[UUID]) -> None:
        self.rows = _rows(workspace_id, thread_ids)
        self.head: tuple[int, Line] | None = (0, Line("", 0, b""))  # nothing has been asked yet

    def of(self, number: int) -> Iterator[Line]:
        """All lines of one thread, the first is number 1. Those of the threads before it must have been taken."""
        if self.head is not None and self.head[0] == 0:
            self.head = next(self.rows, None)
        while self.head is not None and self.head[0] == number:
            yield self.head[1]
            self.head = next(self.rows, None)

    def close(self) -> None:
        """No more of them are wanted; the connection can be asked again."""
        with suppress(Error, psycopg.Error):  # it was ended, or is gone; whoever asks next hears of it
            self.rows.close()

    def end(self) -> None:
        """Raise RuntimeError if anything was left: the database gave the rows in another order."""
        self.close()
        if self.head is not None:
            raise RuntimeError("rows of threads that are archived were not in their order")


def _rows(workspace_id: UUID, thread_ids: Sequence[UUID]) -> Generator[tuple[int, Line]]:
    statement, finishing = _question()
    asked = statement.format(threads=sql.Literal(list(thread_ids)), workspace=sql.Literal(workspace_id))
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(asked) as answer:
        for row in answer:
            number, name, position, text = bytes(row).split(b"\t", 3)
            kind = name.decode()
            if b"\\" in text:  # COPY doubles it, and has nothing else to escape in JSON
                text = text.replace(b"\\\\", b"\\")
            text = _finished(text, finishing[kind])
            file = records.parse(text)["file"] if kind == "attachment" else ""
            yield int(number), Line(kind, int(position), text, file)


def _finished(text: bytes, finishing: Sequence[Finish]) -> bytes:
    pieces = text.split(BREAK.encode())
    for at, finish in enumerate(finishing):
        value = pieces[2 * at + 1]
        if value != b"null":
            pieces[2 * at + 1] = finish(value)
    return b"".join(pieces)


def _question() -> tuple[sql.SQL, dict[str, tuple[Finish, ...]]]:
    """The statement, without threads and workspace, and for each kind what is left to do of its lines."""
    parts, finishing = [], {}
    for kind, model, key, order in SOURCES:
        line, finishing[kind] = _line(kind, model)
        position = "part.position" if kind == "message" else "0"
        table = model._meta.db_table
        parts.append(PART.format(kind=kind, position=position, line=line, table=table, key=key, order=order))
    return sql.SQL(ROWS.format(parts=" UNION ALL ".join(parts))), finishing


def _line(kind: str, model: type[models.Model]) -> tuple[str, tuple[Finish, ...]]:
    """SQL for the line of a row, in pieces: every second one is to be finished."""
    layout = {column.name: column for column in records.columns(model)}
    pieces: list[list[str]] = [[]]
    finishing: list[Finish] = []
    before = "{{"
    for name in sorted([*layout, "type"]):
        pieces[-1].append(f"""'{before}"{name}":'""")
        before = ","
        if name == "type":
            pieces[-1].append(f"""'"{kind}"'""")
            continue
        value = f"coalesce({layout[name].json}, 'null')"
        finish = layout[name].finish
        if finish is None:
            pieces[-1].append(value)
        else:
            finishing.append(finish)
            pieces += [[value], []]
    pieces[-1].append("'}}'")
    concats = [f"concat({', '.join(piece)})" for piece in pieces]
    return f"concat_ws(E'\\x1e', {', '.join(concats)})", tuple(finishing)
