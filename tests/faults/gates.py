"""Points inside a transaction at which a worker is made to wait, so that it can be killed exactly there.

A trigger of the test's database: the row that would be a run's event number n is not inserted while the test holds
the gate (run, n). A worker behind a gate has done everything before that event, and not committed it. A statement of
several runs, which would make the others wait as well, fails there: then each is stored by itself, as the worker does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
from django.db import connection

from tests.faults.site import database_url

INSTALL = """
CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_query() LIKE '%SKIP LOCKED%'
       AND NOT pg_try_advisory_xact_lock_shared(hashtext(NEW.run_id::text), NEW.seq)
    THEN
        RAISE EXCEPTION 'a gate';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(hashtext(NEW.run_id::text), NEW.seq);
    RETURN NEW;
END $$;
CREATE TRIGGER gate BEFORE INSERT ON threads_runevent FOR EACH ROW EXECUTE FUNCTION wait_at_gate()
"""
REMOVE = "DROP TRIGGER gate ON threads_runevent; DROP FUNCTION wait_at_gate()"


class Gates:
    """The gates that the test holds, on a connection of its own."""

    def __init__(self, holder: "psycopg.Connection[tuple[int, ...]]") -> None:
        self._holder = holder

    def close(self, run_id: UUID, seq: int) -> None:
        """From now on nobody gets past this event."""
        self._holder.execute("SELECT pg_advisory_lock(hashtext(%s), %s)", [str(run_id), seq])

    def open(self, run_id: UUID, seq: int) -> None:
        self._holder.execute("SELECT pg_advisory_unlock(hashtext(%s), %s)", [str(run_id), seq])

    def waiting(self) -> int:
        """How many sessions wait at a gate."""
        row = self._holder.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchone()
        return row[0] if row else 0


@contextmanager
def gates() -> Iterator[Gates]:
    with connection.cursor() as cursor:
        cursor.execute(INSTALL)
    with psycopg.connect(database_url(), autocommit=True) as holder:
        try:
            yield Gates(holder)
        finally:
            holder.execute("SELECT pg_advisory_unlock_all()")
            holder.execute("SET lock_timeout = '30s'")  # a worker that still lives would be waited for
            holder.execute(REMOVE)
