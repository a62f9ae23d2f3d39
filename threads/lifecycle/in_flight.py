"""A statement that the database does while this process does something else."""

from contextlib import suppress

import psycopg
from django.db import Error, connection
from psycopg import generators, sql
from psycopg.pq import ExecStatus


class Statement:
    """One statement, sent. Until it has arrived nothing else is asked of the connection."""

    def __init__(self, statement: sql.Composed) -> None:
        with connection.cursor() as cursor:  # which has the session's scope
            self.driver: psycopg.Connection[tuple[object, ...]] = cursor.connection
        with connection.wrap_database_errors:
            self.driver.pgconn.send_query(statement.as_bytes(self.driver))
            self.driver.wait(generators.send(self.driver.pgconn))

    def rows(self) -> int:
        """Wait for its end; how many rows it touched. Raises what the database says."""
        with connection.wrap_database_errors:
            results = self.driver.wait(generators.fetch_many(self.driver.pgconn))
            if results[-1].status == ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(results[-1])
        return int(results[-1].command_tuples or 0)

    def abandon(self) -> None:
        """Wait for its end, whatever it is: the transaction is taken back anyway."""
        with suppress(Error):
            self.rows()
