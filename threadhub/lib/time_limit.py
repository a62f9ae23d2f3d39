"""Statements that may take so long, and no longer."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled


class TookTooLong(Exception):
    """PostgreSQL ended a statement at its limit."""


@contextmanager
def time_limit(each: timedelta) -> Iterator[None]:
    """So long each statement in it may take. Raises TookTooLong; what was done in it is then undone."""
    part = connection.in_atomic_block
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                milliseconds = f"{each // timedelta(milliseconds=1)}"
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [milliseconds])
            yield
            if part:  # the transaction that it is a part of goes on without
                with connection.cursor() as cursor:
                    cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TookTooLong from error
        raise
