"""SQL by hand: a bucket is refilled, takes back what was not used, and grants a share of it, in one statement; and the
places of streams, under a lock per subject."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection, transaction

# By the primary key; changes no indexed column of a row that is there, so it stays a HOT update. The row's lock lasts
# for this one statement: callers are in no transaction. Near the end a bucket grants small shares, so that no process
# holds much of what another one is refused.
TAKE = """
INSERT INTO limits_ratebucket AS bucket (id, tokens, granted, refilled_at)
VALUES (%(id)s, %(quota)s::float8 - %(share)s, %(share)s, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET (tokens, granted, refilled_at) = (
    SELECT filled.tokens - given.tokens, given.tokens, clock.now
      FROM (SELECT clock_timestamp() AS now) AS clock,
   LATERAL (SELECT least(%(quota)s::float8, bucket.tokens + %(back)s + %(quota)s::float8 / %(window)s
                   * greatest(0, extract(epoch FROM clock.now - bucket.refilled_at))) AS tokens) AS filled,
   LATERAL (SELECT CASE WHEN filled.tokens < 1 THEN 0
                        ELSE least(%(share)s, greatest(1, floor(filled.tokens / 8))) END AS tokens) AS given)
RETURNING granted, tokens
"""


def take(*, id: bytes, quota: int, window: int, share: int, back: int) -> tuple[int, float]:
    """How many tokens were granted of `share` wanted, and how many the bucket has left."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, {"id": id, "quota": quota, "window": window, "share": share, "back": back})
        granted, left = cursor.fetchone()
    return granted, left


KNOW = """
INSERT INTO limits_knownaddress (id, seen_at) VALUES (%(id)s, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at
"""


def know(id: bytes) -> None:
    """Remember a user's address."""
    with connection.cursor() as cursor:
        cursor.execute(KNOW, {"id": id})


# For the length of the transaction: two processes must not both take the last place.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('limits.streams', 0) # hashtextextended(encode(%s, 'hex'), 1))"
# By the primary key (subject, process).
HOLD = """
WITH others AS (
    SELECT coalesce(sum(held), 0) AS held FROM limits_streamplaces
     WHERE subject = %(subject)s AND process <> %(process)s
       AND seen_at > clock_timestamp() - make_interval(secs => %(lease)s)
), free AS (
    SELECT %(quota)s - others.held - (%(used)s - 1) AS places FROM others
)
INSERT INTO limits_streamplaces AS mine (subject, process, held, seen_at)
SELECT %(subject)s, %(process)s,
       (%(used)s - 1) + greatest(0, least(free.places, %(share)s, greatest(1, free.places / 8))), clock_timestamp()
  FROM free
    ON CONFLICT (subject, process) DO UPDATE SET held = excluded.held, seen_at = excluded.seen_at
RETURNING held
"""


def hold(*, subject: bytes, process: UUID, used: int, share: int, quota: int, lease: float) -> int:
    """How many places of the subject this process has from now on, one of the `used` not being among them yet."""
    values: dict[str, Any] = {
        "subject": subject,
        "process": process,
        "used": used,
        "share": share,
        "quota": quota,
        "lease": lease,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LOCK, [subject])
        cursor.execute(HOLD, values)
        (held,) = cursor.fetchone()
    return int(held)


# By the primary key, sorted: two processes that renew have no row in common anyway.
RENEW = """
INSERT INTO limits_streamplaces (subject, process, held, seen_at)
SELECT subject, %(process)s, held, clock_timestamp()
  FROM unnest(%(subjects)s::bytea[], %(held)s::int[]) AS used (subject, held)
    ON CONFLICT (subject, process) DO UPDATE SET held = excluded.held, seen_at = excluded.seen_at
"""


def renew(*, process: UUID, used: Mapping[bytes, int], gone: Sequence[bytes]) -> None:
    """Set what a process holds to what it uses."""
    with transaction.atomic(), connection.cursor() as cursor:
        if gone:
            cursor.execute(
                "DELETE FROM limits_streamplaces WHERE process = %s AND subject = ANY (%s::bytea[])",
                [process, list(gone)],
            )
        if used:
            cursor.execute(RENEW, {"process": process, "subjects": list(used), "held": list(used.values())})
