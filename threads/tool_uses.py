"""Which tools were called in which threads, so that a list can be narrowed to a tool without reading messages.

A row is written with the first call of a tool in a thread, by the transaction that stores the message.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from threads.models import Message, Thread, ToolUse

# What threads' messages say, all at once: after they came from a bundle, an import or another thread. Reads the
# threads' messages by the index on (thread, position).
FROM_MESSAGES = """
INSERT INTO threads_tooluse (workspace_id, name, thread_id)
SELECT DISTINCT message.workspace_id, call ->> 'name', message.thread_id
  FROM threads_message AS message,
       jsonb_array_elements(CASE jsonb_typeof(message.tool_calls) WHEN 'array' THEN message.tool_calls ELSE '[]' END)
       AS call
 WHERE message.thread_id = ANY(%(threads)s) AND message.workspace_id = %(workspace)s AND call ->> 'name' IS NOT NULL
    ON CONFLICT DO NOTHING
"""


def note(*, thread: Thread, calls: Sequence[dict[str, Any]]) -> None:
    """Calls as messages keep them were stored in a thread."""
    names = {str(call["name"]) for call in calls if call.get("name")}
    rows = [ToolUse(workspace_id=thread.workspace_id, name=name, thread_id=thread.pk) for name in sorted(names)]
    ToolUse.objects.bulk_create(rows, ignore_conflicts=True)


def note_all(*, thread_ids: Sequence[UUID], workspace_id: UUID) -> None:
    """Whatever the messages of these threads called."""
    with connection.cursor() as cursor:
        cursor.execute(FROM_MESSAGES, {"threads": list(thread_ids), "workspace": workspace_id})


def forget(*, thread: Thread, message: Message) -> None:
    """A message was removed: its tools count no longer, where no other message of the thread called them."""
    for name in {str(call.get("name")) for call in message.tool_calls or []}:
        if not Message.objects.of_all_branches(thread).filter(tool_calls__contains=[{"name": name}]).exists():
            ToolUse.objects.filter(workspace_id=thread.workspace_id, name=name, thread_id=thread.pk).delete()
