"""One thread with its messages or a part of them as rows, by one prepared statement; or, for who has it already, no
more of it than tells whether it is still the same. Threads that were forked or are in a bundle are left to those who
can read them.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from uuid import UUID

from django.db import connection

from threadhub.workspaces.actor import Actor
from threads import thread_rows
from threads.lifecycle.in_force import InForce, Question
from threads.message_rows import COLUMNS as MESSAGE_COLUMNS
from threads.message_rows import MessageRow
from threads.thread_rows import COLUMNS, WIDTH, ThreadRow, Wanted

# What is shown of a thread changes with its row: messages come and go, and branches change, in the transaction that
# changes it (tests/api/rest/test_changes_are_told.py), and so does whatever is beside its messages.
VERSION = (
    "concat_ws('.', thread.xmin::text, extract(epoch FROM thread.updated_at), thread.last_position,"
    " thread.message_count)"
)
HEAD = """
WITH thread AS MATERIALIZED (SELECT *, {version} AS version FROM threads_thread AS thread WHERE {where})
SELECT {columns}, thread.version, thread.path IS NULL AND thread.bundle_id IS NULL, {in_force},
       EXISTS (SELECT FROM threads_attachment WHERE workspace_id = %(workspace)s AND thread_id = %(thread)s){nothing}
  FROM thread
"""
# By the unique index on (thread, position); none of a version that is known. The first or last ones are looked for
# within the thread: of a join PostgreSQL does not know that it is one thread, and would read and sort all messages.
MESSAGES = """
UNION ALL
(SELECT {nothing}, {columns}
  FROM thread,
       LATERAL (SELECT * FROM threads_message AS message
                 WHERE message.workspace_id = thread.workspace_id AND message.thread_id = thread.id{positions}{order}
               ) AS message
 WHERE thread.path IS NULL AND thread.bundle_id IS NULL AND thread.version IS DISTINCT FROM %(known)s::text)
"""
POSITION = attrgetter("position")
BESIDE = 4  # of the columns of HEAD: what stands beside the thread's own


@dataclass(frozen=True, slots=True)
class Part:
    """The messages between two positions, and of these the first or the last ones; or a single one."""

    one: UUID | None = None
    after: int | None = None
    before: int | None = None
    limit: int | None = None
    last: bool = False


ALL = Part()


@dataclass(frozen=True, slots=True)
class Whole:
    """`version` is another one after each change; `files`: whether any message has one."""

    thread: ThreadRow
    version: str
    in_force: InForce | None
    files: bool
    messages: list[MessageRow]


def read(
    *,
    actor: Actor,
    thread_id: UUID,
    agent_id: UUID | None,
    now: datetime,
    part: Part | None = ALL,
    known: str | None = None,
) -> Whole | None:
    """The thread that the actor may see, of `agent_id` where it is not None, with this part of its messages in their
    order, or without them where its version is `known`. None: ask the gate (access.get)."""
    told = thread_rows.conditions(Wanted(actor, agent_id=agent_id))
    if told is None:
        return None
    names, values = told
    asked = Question(actor.workspace_id, now)
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
        values |= {"thread": thread_id, **asked.values}
        if part is not None:
            values |= {"one": part.one, "after": part.after, "before": part.before, "known": known}
        cursor.execute(_sql((*names, "one"), *_form(part), asked.sql), values)
        found = cursor.fetchall()
    at = next((at for at, row in enumerate(found) if row[0] is not None), None)
    if at is None:
        return None
    head = found.pop(at)
    version, simple, told_in_force, files = head[WIDTH : WIDTH + BESIDE]
    if not simple:
        return None
    messages = [MessageRow._make(row[WIDTH + BESIDE :]) for row in found]
    messages.sort(key=POSITION)
    return Whole(ThreadRow(*head[:WIDTH]), version, asked.answer(told_in_force), files, messages)


def _form(part: Part | None) -> tuple[str, str] | tuple[None, None]:
    """The conditions and the order of a part; its length is in the text, as the planner should know it."""
    if part is None:
        return None, None
    positions = "".join(
        condition
        for condition, value in (
            (" AND message.id = %(one)s", part.one),
            (" AND message.position > %(after)s", part.after),
            (" AND message.position < %(before)s", part.before),
        )
        if value is not None
    )
    if part.limit is None:
        return positions, ""
    return positions, f" ORDER BY message.position {'DESC' if part.last else 'ASC'} LIMIT {part.limit}"


@lru_cache(maxsize=512)
def _sql(names: tuple[str, ...], positions: str | None, order: str | None, in_force: str) -> str:
    head = HEAD.format(
        where=thread_rows.where(names),
        columns=COLUMNS,
        version=VERSION,
        in_force=in_force,
        nothing=", NULL" * len(MessageRow._fields) if positions is not None else "",
    )
    if positions is None:
        return head
    return head + MESSAGES.format(
        nothing=", ".join(["NULL"] * (WIDTH + BESIDE)), columns=MESSAGE_COLUMNS, positions=positions, order=order
    )
