"""Django's PostgreSQL backend whose connections see what the scope allows, and nothing else.

A connection remembers the role and the scope that its server session has. Before a cursor is made they are compared
with the scope of the code that asks, which costs nothing while they agree; where they differ, one statement sets both.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base
from psycopg import Cursor
from psycopg.pq import Format, TransactionStatus
from psycopg_pool import ConnectionPool

from threadhub.isolation import walls
from threadhub.isolation.backend import pool as pools
from threadhub.isolation.backend.timestamps import TimestampLoader
from threadhub.isolation.scope import Scope, as_owner, current, spelled

STANDING = "threadhub_standing"  # attribute of the psycopg connection: the Scope that its server session has
SET = (
    "SELECT set_config('role', %s, false), set_config('threadhub.scope', %s, false),"
    " set_config('threadhub.door', %s, false)"
)


PREPARED_AFTER = 2  # times on one connection


class DatabaseWrapper(base.DatabaseWrapper):
    _was_connected = False

    @property
    def pool(self) -> Any:
        """Django's, with a cheaper look at connections that have just worked (pool.py)."""
        made: Any = self._connection_pools.get(self.alias)  # type: ignore[attr-defined]  # no stub
        if made is None:
            made = super().pool
            if made is not None and made._check is ConnectionPool.check_connection:
                made._check = pools.check
        return made

    def get_connection_params(self) -> dict[str, Any]:
        parameters: dict[str, Any] = super().get_connection_params()
        if self.timezone is TimestampLoader.timezone:
            parameters["context"].adapters.register_loader("timestamptz", TimestampLoader)
        return parameters

    def connect(self) -> None:
        """A connection of the pool is set up already. Of Django's steps those are left that make this wrapper as it is
        for a new one; the first time all of them, some of which are for the process."""
        pool = self.pool
        if pool is None or not self._was_connected:
            super().connect()
            self._was_connected = True
            return
        self.in_atomic_block = self.needs_rollback = self.closed_in_transaction = self.errors_occurred = False
        self.savepoint_ids, self.atomic_blocks, self.run_on_commit = [], [], []
        self.health_check_done, self.close_at = True, 0.0  # back to the pool after each request
        self.connection = self.get_new_connection({})
        if self.connection.autocommit:
            self.autocommit = True
        else:
            self.set_autocommit(True)

    def close_if_unusable_or_obsolete(self) -> None:
        """A connection of the pool that is in order goes back to it. Whether it still is when it is taken again,
        pool.py sees to."""
        here = self.connection
        if here is None or self.pool is None or self.in_atomic_block or self.errors_occurred or not here.autocommit:
            super().close_if_unusable_or_obsolete()
            return
        self.run_on_commit = []
        try:
            self._close()
        finally:
            self.connection = None

    def prepared_cursor(self, format: Format = Format.BINARY) -> Any:
        """A cursor whose statements PostgreSQL plans once for a connection, when they come again: for those that hot
        requests ask. Django's own cursors put the values into the text, so that each is a new statement.

        Values are bound by the server, so a statement must say their types where PostgreSQL cannot tell. `format`: in
        which what is found is sent; Django's fields want to read text.
        """
        self.ensure_connection()
        with self.wrap_database_errors:
            wanted = current()
            if getattr(self.connection, STANDING, None) != wanted:
                self._stand(wanted)
            self.connection.prepare_threshold = PREPARED_AFTER if settings.DATABASE_PREPARED else None
            cursor = Cursor(self.connection)
            cursor.format = format  # as bytes times are read by psycopg's C
            return self._prepare_cursor(cursor)  # type: ignore[attr-defined]  # no stub

    def create_cursor(self, name: str | None = None) -> Any:
        wanted = current()
        if getattr(self.connection, STANDING, None) != wanted:
            self._stand(wanted)
        return super().create_cursor(name)

    def _stand(self, wanted: Scope) -> None:
        role = "none" if wanted.owner else walls.DOOR_ROLE if wanted.door else walls.APP_ROLE
        door = walls.MIGRATING if wanted.owner else wanted.door or ""
        with self.wrap_database_errors, self.connection.cursor() as cursor:
            cursor.execute(SET, [role, spelled(wanted.workspaces), door])
        setattr(self.connection, STANDING, wanted)

    def _forget(self) -> None:
        """A rollback takes back what was set since its transaction or savepoint began."""
        if self.connection is not None:
            setattr(self.connection, STANDING, None)

    def _rollback(self) -> None:
        super()._rollback()  # type: ignore[misc]  # no stub
        self._forget()

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)  # type: ignore[misc]
        self._forget()  # afterwards: the statement above comes with a cursor, and takes no other before it

    @contextmanager
    def _nodb_cursor(self) -> Iterator[Any]:
        """To make and remove test databases, from a database that is not ours."""
        with as_owner(), super()._nodb_cursor() as cursor:
            yield cursor

    def _close(self) -> None:
        """Back to the pool, which rolls back by itself what was left open."""
        if self.connection is not None and self.connection.pgconn.transaction_status != TransactionStatus.IDLE:
            self._forget()
            if self.connection.closed:
                pools.note_trouble()
        elif self.connection is not None:
            pools.note_use(self.connection)
        super()._close()  # type: ignore[misc]
