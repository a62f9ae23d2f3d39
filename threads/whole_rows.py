"""One thread with its messages as rows, by one prepared statement; or, for who has it already, no more of it than tells
whether it is still the same. Threads that were forked or are in a bundle are left to those who can read them.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from django.db import connection

from threadhub.workspaces.actor import Actor
from threads import thread_rows
from threads.lifecycle.expiry import IN_FORCE_OF_ONE, InForce
from threads.message_rows import COLUMNS as MESSAGE_COLUMNS
from threads.message_rows import MessageRow
from threads.thread_rows import COLUMNS, WIDTH, ThreadRow, Wanted

# What is shown of a thread changes with its row: messages come and go, and branches change, in the transaction that
# changes it (tests/threads/test_whole_rows.py), and so does whatever is beside its messages.
VERSION = (
    "concat_ws('.', thread.version, extract(epoch FROM thread.updated_at), thread.last_position, thread.message_count)"
)
HEAD = """
WITH thread AS MATERIALIZED (SELECT *, thread.xmin::text AS version FROM threads_thread AS thread WHERE {where})
SELECT {columns}, {version}, thread.path IS NULL AND thread.bundle_id IS NULL, {in_force},
       EXISTS (SELECT FROM threads_attachment WHERE workspace_id = %(workspace)s AND thread_id = %(thread)s){nothing}
  FROM thread
"""
# By the unique index on (thread, position).
MESSAGES = """
UNION ALL
SELECT {nothing}, {columns}
  FROM thread
  JOIN threads_message AS message ON message.workspace_id = thread.workspace_id AND message.thread_id = thread.id
 WHERE thread.path IS NULL AND thread.bundle_id IS NULL
"""
BESIDE = 4  # of the columns of HEAD: what stands beside the thread's own


@dataclass(frozen=True, slots=True)
class Whole:
    """`version` is another one after each change; `files`: whether any message has one."""

    thread: ThreadRow
    version: str
    in_force: InForce
    files: bool
    messages: list[MessageRow]


def read(
    *, actor: Actor, thread_id: UUID, agent_id: UUID | None, now: datetime, with_messages: bool = True
) -> Whole | None:
    """The thread that the actor may see, of `agent_id` where it is not None. None: ask the gate (access.get)."""
    told = thread_rows.conditions(Wanted(actor, agent_id=agent_id))
    if told is None:
        return None
    names, values = told
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
        cursor.execute(_sql((*names, "one"), with_messages), {**values, "thread": thread_id, "now": now})
        found = cursor.fetchall()
    at = next((at for at, row in enumerate(found) if row[0] is not None), None)
    if at is None:
        return None
    head = found.pop(at)
    version, simple, in_force, files = head[WIDTH : WIDTH + BESIDE]
    if not simple:
        return None
    messages = [MessageRow(*row[WIDTH + BESIDE :]) for row in found]
    messages.sort(key=lambda row: row.position)
    return Whole(ThreadRow(*head[:WIDTH]), version, thread_rows.in_force(in_force), files, messages)


@lru_cache(maxsize=64)
def _sql(names: tuple[str, ...], with_messages: bool) -> str:
    head = HEAD.format(
        where=thread_rows.where(names),
        columns=COLUMNS,
        version=VERSION,
        in_force=IN_FORCE_OF_ONE,
        nothing=", NULL" * len(MessageRow._fields) if with_messages else "",
    )
    if not with_messages:
        return head
    return head + MESSAGES.format(nothing=", ".join(["NULL"] * (WIDTH + BESIDE)), columns=MESSAGE_COLUMNS)
