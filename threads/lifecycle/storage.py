"""How much the live threads of each workspace take. Measured once a day and kept, by a sample of the messages' pages:
reading twenty million of them would take minutes, and change every second."""

from collections import defaultdict
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection, transaction

from threads.models import StorageSize

SAMPLED = 50_000  # messages, about; where there are fewer, all of them, and the figure is exact
FRESH = timedelta(hours=23)
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('threadhub.storage', 0))"
# As upkeep last counted them; before it has, as many as the table has kilobytes.
ROWS = """
SELECT CASE WHEN reltuples > 0 THEN reltuples ELSE pg_relation_size(oid) / 1000 END::bigint
  FROM pg_class WHERE oid = 'threads_message'::regclass
"""
# Threads in any other state are too short-lived to be told.
MESSAGES = """
SELECT message.workspace_id, thread.state, sum(octet_length(message.content))::bigint
  FROM threads_message AS message TABLESAMPLE SYSTEM (%(percent)s)
  JOIN threads_thread AS thread ON thread.workspace_id = message.workspace_id AND thread.id = message.thread_id
 WHERE thread.state IN ('active', 'trashed')
 GROUP BY 1, 2
"""
FILES = """
SELECT attachment.workspace_id, thread.state, sum(attachment.size)::bigint
  FROM threads_attachment AS attachment
  JOIN threads_thread AS thread ON thread.workspace_id = attachment.workspace_id AND thread.id = attachment.thread_id
 WHERE thread.state IN ('active', 'trashed')
 GROUP BY 1, 2
"""


def measure_due(*, now: datetime) -> bool:
    """Measure all workspaces, unless that was done within a day."""
    if StorageSize.objects.filter(made_at__gt=now - FRESH).exists():
        return False
    measure(now=now)
    return True


@transaction.atomic
def measure(*, now: datetime) -> None:
    """Measure all workspaces, and forget what was measured before."""
    percent = _percent()
    messages: defaultdict[tuple[UUID, str], int] = defaultdict(int)
    files: defaultdict[tuple[UUID, str], int] = defaultdict(int)
    with connection.cursor() as cursor:
        cursor.execute(LOCK)
        cursor.execute(MESSAGES, {"percent": percent})
        for workspace_id, state, size in cursor.fetchall():
            messages[workspace_id, state] = int(size * 100 / percent)
        cursor.execute(FILES)
        for workspace_id, state, size in cursor.fetchall():
            files[workspace_id, state] = size
    StorageSize.objects.all().delete()
    StorageSize.objects.bulk_create(
        StorageSize(workspace_id=key[0], state=key[1], messages=messages[key], files=files[key], made_at=now)
        for key in sorted(messages.keys() | files.keys())
    )


def _percent() -> float:
    """Of the messages' pages that are looked at."""
    with connection.cursor() as cursor:
        cursor.execute(ROWS)
        (rows,) = cursor.fetchone()
    return min(100.0, 100 * SAMPLED / rows) if rows else 100.0
