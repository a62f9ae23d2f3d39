"""SQL that the ORM cannot say. Each statement names the index or lock it relies on."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import connection


class Positions(NamedTuple):
    """The last of the positions just taken, and the database's time of it."""

    last: int
    at: datetime


# The row lock of this UPDATE is what makes positions gap-free: whoever appends to the thread next waits for our
# commit. Touches no indexed column, so it stays a HOT update.
TAKE_POSITIONS = """
UPDATE threads_thread
   SET last_position = last_position + %(count)s::int, message_count = message_count + %(count)s::int,
       last_activity_at = statement_timestamp(), updated_at = statement_timestamp()
 WHERE id = %(thread)s AND workspace_id = %(workspace)s AND state NOT IN ('archived', 'trashed')
RETURNING last_position, last_activity_at
"""


def take_positions(*, thread_id: UUID, workspace_id: UUID, count: int) -> Positions | None:
    """Reserve the next `count` positions of a thread; None when nothing can be written to it: it is gone, archived or
    in the trash. Takes the row's lock, so what is true of the thread stays so. Call inside a transaction."""
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
        cursor.execute(TAKE_POSITIONS, {"thread": thread_id, "workspace": workspace_id, "count": count})
        row = cursor.fetchone()
    return Positions(*row) if row else None


# As above, and the messages at these positions, in the same round trip. Every column of a message that a draft has, by
# its name; the others are as the table begins them. A text that is null stays null, as JSON too.
STORE_MESSAGES = f"""
WITH thread AS ({TAKE_POSITIONS}), stored AS (
    INSERT INTO threads_message (
        workspace_id, thread_id, position, created_at, updated_at, id, role, kind, content, title, name, tool_calls,
        tool_call_id, tool_result, extra, run_id, partial, author, usage, sent_at)
    SELECT %(workspace)s::uuid, %(thread)s::uuid, last_position - %(count)s::int + number, last_activity_at,
           last_activity_at, id, role, kind, content, title, name, tool_calls, tool_call_id, tool_result, extra, run_id,
           partial, author, usage, sent_at
      FROM thread,
           ROWS FROM (json_to_recordset(%(messages)s::json) AS (
               id uuid, role text, kind text, content text, title text, name text, tool_calls jsonb, tool_call_id text,
               tool_result jsonb, extra jsonb, run_id uuid, partial bool, author text, usage jsonb, sent_at timestamptz
           )) WITH ORDINALITY AS draft (
               id, role, kind, content, title, name, tool_calls, tool_call_id, tool_result, extra, run_id, partial,
               author, usage, sent_at, number
           )
)
SELECT last_position, last_activity_at FROM thread
"""  # noqa: S608  constants


def store_messages(*, thread_id: UUID, workspace_id: UUID, messages: str, count: int) -> Positions | None:
    """Append messages, a JSON array of objects, to a thread; None when nothing can be written to it, as
    `take_positions`. Call inside a transaction."""
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(
            STORE_MESSAGES,
            {"thread": thread_id, "workspace": workspace_id, "count": count, "messages": messages},
        )
        row = cursor.fetchone()
    return Positions(*row) if row else None


def notify(channel: str, payload: str) -> None:
    """NOTIFY with the transaction's commit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, payload])


def array(values: Iterable[UUID | int | str]) -> str:
    """As PostgreSQL writes an array of what needs no quotes: ids, numbers, types of events. A list psycopg would write
    item by item."""
    return f"{{{','.join(map(str, values))}}}"
