"""SQL by hand: the one INSERT on every write path, and what the ORM has no words for."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from threadhub.lib import ids as wire

# By hand because every write pays for it: half of what the ORM takes, and no model is loaded to record.
INTO = """
INSERT INTO audit_auditevent (id, workspace_id, actor, on_behalf_of, action, ids, details, face, address, user_agent,
                              request_id, salt)
SELECT %(audit_id)s, %(audit_workspace)s, %(audit_actor)s, %(audit_on_behalf_of)s, %(audit_action)s,
       %(audit_ids)s::text[], {details}, %(audit_face)s, %(audit_address)s, %(audit_user_agent)s, %(audit_request)s,
       %(audit_salt)s
"""
INSERT = INTO.format(details="%(audit_details)s::jsonb")


def part(*, source: str, details: str) -> str:
    """The same as part of another statement, an event for each row of `source`; values as `recording.values` has them.
    Both texts are the caller's own SQL."""
    return f"{INTO.format(details=details)} FROM {source}"


def insert(**values: Any) -> None:
    """Store an event that stands in no chain yet."""
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
        cursor.execute(INSERT, values)


def insert_each(rows: Sequence[dict[str, Any]]) -> None:
    """The same for several at once, sent together."""
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.executemany(INSERT, rows)


# A plan by audit_of_actor: what one actor did lately.
TOLD = """
SELECT DISTINCT unnest(ids) FROM audit_auditevent
 WHERE workspace_id = ANY(%(workspaces)s) AND actor = %(actor)s AND action = %(action)s AND ids && %(ids)s::text[]
   AND created_at > statement_timestamp() - make_interval(secs => %(within)s)
"""


def told(*, workspace_ids: Sequence[UUID], actor: str, action: str, ids: Sequence[str], within: timedelta) -> set[str]:
    """The ids (and maybe others) that events of this action by this actor name, of that last while."""
    with connection.cursor() as cursor:
        cursor.execute(
            TOLD,
            {
                "workspaces": list(workspace_ids),
                "actor": actor,
                "action": action,
                "ids": list(ids),
                "within": within.total_seconds(),
            },
        )
        return {row[0] for row in cursor.fetchall()}


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


def waiting_since(*, workspace_id: UUID, longer_than: timedelta) -> int:
    """How many events of a workspace stand in no chain yet and are older than that; by the index of unlinked events."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM audit_auditevent"
            " WHERE workspace_id = %s AND seq IS NULL"
            " AND created_at < statement_timestamp() - make_interval(secs => %s)",
            [workspace_id, longer_than.total_seconds()],
        )
        (count,) = cursor.fetchone()
        return int(count)


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


def window_start(seconds: int) -> datetime:
    """When the present window began, by the database's clock, so that all processes count into the same one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT date_bin(make_interval(secs => %s), statement_timestamp(), 'epoch')", [seconds])
        start: datetime = cursor.fetchone()[0]
        return start


# The unique key makes the processes' flushes add up; they take rows in one order, so none waits for another in a ring.
ADD_ACCESS = """
INSERT INTO audit_accesscount AS known (id, workspace_id, actor, kind, window_start, count)
VALUES (%(id)s, %(workspace_id)s, %(actor)s, %(kind)s, %(window_start)s, %(count)s)
ON CONFLICT (workspace_id, actor, kind, window_start) DO UPDATE SET count = known.count + excluded.count
RETURNING count
"""


def add_access(**values: Any) -> int:
    """Add to a count; returns what it is now, over all processes."""
    with connection.cursor() as cursor:
        cursor.execute(ADD_ACCESS, {"id": wire.new(), **values})
        return int(cursor.fetchone()[0])


# `others` is read as it was before this statement: the first address of a key is nothing new.
ADD_ADDRESS = """
WITH others AS (
    SELECT EXISTS (SELECT FROM audit_accessaddress WHERE workspace_id = %(workspace_id)s AND actor = %(actor)s) AS any
), added AS (
    INSERT INTO audit_accessaddress (id, workspace_id, actor, address)
    VALUES (%(id)s, %(workspace_id)s, %(actor)s, %(address)s)
    ON CONFLICT (workspace_id, actor, address) DO NOTHING RETURNING id
)
SELECT others.any FROM others, added
"""


def add_address(**values: Any) -> bool:
    """Note an address of an actor; whether it is a new one beside others."""
    with connection.cursor() as cursor:
        cursor.execute(ADD_ADDRESS, {"id": wire.new(), **values})
        row = cursor.fetchone()
        return bool(row and row[0])


ADD_ALERT = """
INSERT INTO audit_accessalert (id, workspace_id, actor, kind, window_start, count, address)
VALUES (%(id)s, %(workspace_id)s, %(actor)s, %(kind)s, %(window_start)s, %(count)s, %(address)s)
ON CONFLICT (workspace_id, actor, kind, window_start) DO NOTHING RETURNING id
"""


def add_alert(**values: Any) -> UUID | None:
    """A new alert's id; None where this actor has one of this kind and window."""
    with connection.cursor() as cursor:
        cursor.execute(ADD_ALERT, {"id": wire.new(), **values})
        row = cursor.fetchone()
        return row[0] if row else None
