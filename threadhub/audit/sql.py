"""SQL by hand: the one INSERT on every write path, and what the ORM has no words for."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection

# By hand because every write pays for it: half of what the ORM takes, and no model is loaded to record.
INSERT = """
INSERT INTO audit_auditevent (id, workspace_id, actor, on_behalf_of, action, ids, details, face, address, user_agent,
                              request_id, salt)
VALUES (%(id)s, %(workspace_id)s, %(actor)s, %(on_behalf_of)s, %(action)s, %(ids)s::text[], %(details)s::jsonb,
        %(face)s, %(address)s, %(user_agent)s, %(request_id)s, %(salt)s)
"""


def insert(**values: Any) -> None:
    """Store an event that stands in no chain yet."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT, values)


# Taken for the length of the transaction by whoever links events of the workspace. Nobody who writes events takes it.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('audit.link', 0) # hashtextextended(%s, 1))"


def lock_chain(workspace_id: UUID) -> None:
    """Be the only one who links this workspace's events until the transaction's end; waits for another."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [str(workspace_id)])


# A plan by the partial index of unlinked events: an index scan that skips from one workspace to the next.
WAITING = """
WITH RECURSIVE waiting AS (
    (SELECT workspace_id FROM audit_auditevent WHERE seq IS NULL ORDER BY workspace_id LIMIT 1)
    UNION ALL
    SELECT (SELECT event.workspace_id FROM audit_auditevent AS event
             WHERE event.seq IS NULL AND event.workspace_id > waiting.workspace_id
             ORDER BY event.workspace_id LIMIT 1)
      FROM waiting WHERE waiting.workspace_id IS NOT NULL
)
SELECT workspace_id FROM waiting WHERE workspace_id IS NOT NULL
"""


def workspaces_waiting() -> list[UUID]:
    """The workspaces that have events which stand in no chain yet."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return [row[0] for row in cursor.fetchall()]


LINK = """
UPDATE audit_auditevent AS event SET seq = link.seq, previous = link.previous, hash = link.hash
  FROM unnest(%(ids)s::uuid[], %(seqs)s::bigint[], %(previous)s::bytea[], %(hashes)s::bytea[])
    AS link (id, seq, previous, hash)
 WHERE event.id = link.id AND event.workspace_id = %(workspace)s AND event.seq IS NULL
"""


def link(
    *,
    workspace_id: UUID,
    ids: Sequence[UUID],
    seqs: Sequence[int],
    previous: Sequence[bytes],
    hashes: Sequence[bytes],
) -> int:
    """Give events their places in the chain; returns how many got one."""
    with connection.cursor() as cursor:
        cursor.execute(
            LINK,
            {
                "workspace": workspace_id,
                "ids": list(ids),
                "seqs": list(seqs),
                "previous": list(previous),
                "hashes": list(hashes),
            },
        )
        return int(cursor.rowcount)


# As above, over the chains: one step per workspace.
CHAINED = """
WITH RECURSIVE chained AS (
    (SELECT workspace_id FROM audit_auditevent WHERE seq IS NOT NULL ORDER BY workspace_id LIMIT 1)
    UNION ALL
    SELECT (SELECT event.workspace_id FROM audit_auditevent AS event
             WHERE event.seq IS NOT NULL AND event.workspace_id > chained.workspace_id
             ORDER BY event.workspace_id LIMIT 1)
      FROM chained WHERE chained.workspace_id IS NOT NULL
)
SELECT workspace_id FROM chained WHERE workspace_id IS NOT NULL
"""


def workspaces_chained() -> list[UUID]:
    """The workspaces that have events in a chain."""
    with connection.cursor() as cursor:
        cursor.execute(CHAINED)
        return [row[0] for row in cursor.fetchall()]
