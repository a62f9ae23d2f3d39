"""Messages that came back in bulk: search learns of them afterwards, from the worker.

Of what PostgreSQL spends on storing a message, the index of its words is most. What is restored or imported for one
thread, or a few, is found at once; what is more is stored first, and found some minutes later: once no sweep is under
way, so that a long restore has the machine to itself.
"""

import time
from threading import Event
from uuid import UUID

from django.db import connection, transaction

from threads.lifecycle import sweeper
from threads.models import Message

AT_ONCE = 5_000  # messages of one restore or import of which search learns in the same transaction
BATCH = 500  # of which it learns in one transaction of the worker
PART_SECONDS = 5.0  # then others have their turn on the worker's queue
PAUSE = 0.02  # seconds between two batches
NOBODY = UUID(int=0)
# What somebody holds locked comes with a later part: nobody waits for this, and this waits for nobody.
# Chosen once and for all before anything is updated: as a part of the join, PostgreSQL may choose again for every row.
# What is chosen is locked, so it is found again by its key alone: with `NOT searchable` asked too, and statistics that
# know of no such row, PostgreSQL looks at all that waits for each of the batch (400,000 and 500: 47 seconds).
NEXT = """
WITH waiting AS MATERIALIZED (
    SELECT workspace_id, id FROM threads_message
     WHERE NOT searchable AND (workspace_id, id) > (%s, %s)
     ORDER BY workspace_id, id LIMIT %s
       FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE threads_message AS message SET searchable = true
  FROM waiting
 WHERE message.workspace_id = waiting.workspace_id AND message.id = waiting.id
RETURNING message.workspace_id, message.id
"""


def is_at_once(*, messages: int, before: int = 0) -> bool:
    """Whether search learns of so many messages with their insertion; `before`: that the same deed brought before."""
    return before + messages <= AT_ONCE


def waiting(*, workspace_id: UUID | None = None) -> int:
    """How many messages search does not know yet; of all workspaces in sight where none is named."""
    rows = Message.objects.filter(searchable=False)
    return (rows if workspace_id is None else rows.filter(workspace_id=workspace_id)).count()


def catch_up(*, stop: Event) -> bool:
    """Make a part of them searchable; returns whether to go on at once. `stop` ends it after the batch in hand."""
    ends = time.monotonic() + PART_SECONDS
    after = (NOBODY, NOBODY)
    while not sweeper.is_running():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(NEXT, [*after, BATCH])
            done = cursor.fetchall()
        if not done:
            break
        after = max(done)
        if stop.wait(PAUSE) or time.monotonic() >= ends:
            return True
    return False
