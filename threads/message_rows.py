"""Messages as rows, for those who only show them: a fifth of the work of objects."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from threads.models import Thread


class MessageRow(NamedTuple):
    """A message's columns. JSON is text here, as PostgreSQL writes it; times are as both dialects spell them."""

    id: UUID
    thread_id: UUID
    position: int
    role: str
    kind: str
    content: str | None
    title: str | None
    name: str | None
    tool_calls: str | None
    tool_call_id: str | None
    tool_result: str | None
    extra: str
    run_id: UUID | None
    partial: bool
    usage: str | None
    author: str
    created_at: str
    updated_at: str


MOMENT = "to_char(message.{name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
COLUMNS = f"""message.id, message.thread_id, message.position, message.role, message.kind, message.content,
       message.title, message.name, message.tool_calls::text, message.tool_call_id, message.tool_result::text,
       message.extra::text, message.run_id, message.partial, message.usage::text, message.author,
       {MOMENT.format(name="created_at")}, {MOMENT.format(name="updated_at")}"""
# The last column: whether any message of these threads has a file.
SELECT = f"""
SELECT {COLUMNS}, EXISTS (SELECT FROM threads_attachment WHERE {{files}})
  FROM threads_message AS message WHERE {{messages}}
"""  # noqa: S608  constants of this module
# By the unique index on (thread, position), in its order.
OF_ONE = (
    SELECT.format(
        files="workspace_id = %(workspace)s AND thread_id = %(thread)s",
        messages="message.workspace_id = %(workspace)s AND message.thread_id = %(thread)s",
    )
    + " ORDER BY message.position"
)
OF_SEVERAL = (
    SELECT.format(
        files="workspace_id = %(workspace)s AND thread_id = ANY (%(threads)s)",
        messages="message.workspace_id = %(workspace)s AND message.thread_id = ANY (%(threads)s)",
    )
    + " ORDER BY message.thread_id, message.position"
)


def of_threads(threads: Iterable[Thread]) -> tuple[dict[UUID, list[MessageRow]], bool]:
    """The messages of live threads of one workspace, each thread's on its active branch and in their order, and whether
    any of them may have files: one statement, whatever the number of threads."""
    paths = {thread.id: thread.path for thread in threads}
    found: dict[UUID, list[MessageRow]] = {thread_id: [] for thread_id in paths}
    files = False
    for workspace_id in {thread.workspace_id for thread in threads}:
        for *columns, has_files in _read(workspace_id, list(paths)):
            row = MessageRow(*columns)
            path = paths[row.thread_id]
            files = files or has_files
            if path is None or row.position in path:
                found[row.thread_id].append(row)
    return found, files


def _read(workspace_id: UUID, thread_ids: list[UUID]) -> list[Any]:
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
        if len(thread_ids) == 1:
            cursor.execute(OF_ONE, {"workspace": workspace_id, "thread": thread_ids[0]})
        else:
            cursor.execute(OF_SEVERAL, {"workspace": workspace_id, "threads": thread_ids})
        rows: list[Any] = cursor.fetchall()
        return rows
