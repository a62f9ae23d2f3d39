"""SQL by hand: one statement that refills a bucket, takes back what was not used, and grants a share of it."""

from django.db import connection

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
