"""Getting a database ready: it answers, is new enough, and has every table. One process at a time does so."""

import contextlib
import time
from collections.abc import Iterator
from io import StringIO

import psycopg
from django.core.management import call_command
from django.db import Error, connection
from django.db.backends.utils import CursorWrapper
from django.db.migrations.executor import MigrationExecutor

from threadhub.isolation.scope import as_owner
from threadhub.lib.errors import Failed
from threadhub.worker import direct_parameters

OLDEST_MAJOR = 15
LOCK = 7_491_286_051  # any number, the same everywhere
POLL_SECONDS = 0.1


class DatabaseTooOld(Failed):
    """The database is older than PostgreSQL 15."""

    code = "database_too_old"


class NotMigrated(Failed):
    """The database lacks tables: run `manage.py migrate` first, or `manage.py up`, which does it."""

    code = "not_migrated"


def check_version() -> int:
    """Connect, and return PostgreSQL's version as it says it, 150004 for 15.4. Raises DatabaseTooOld."""
    with psycopg.connect(**direct_parameters()) as direct:  # a pool would hide the reason and take its time
        version = direct.info.server_version
    refuse_old(version)
    return version


def refuse_old(version: int) -> None:
    """Raises DatabaseTooOld."""
    if version < OLDEST_MAJOR * 10_000:
        raise DatabaseTooOld(
            f"The database is PostgreSQL {version // 10_000}; threadhub needs {OLDEST_MAJOR} or later."
        )


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the installation's lock in the database; others wait.

    Asked for again and again instead of waited for: a waiting statement would hold up CREATE INDEX CONCURRENTLY.
    """
    with as_owner(), connection.cursor() as cursor:  # before there are tables there are no other roles
        while not _try_lock(cursor):
            time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        with contextlib.suppress(Error), as_owner(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


@as_owner()
def pending_migrations() -> list[str]:
    """The migrations that the database lacks, as `app.name`."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def migrate() -> None:
    """Apply what is pending; silent."""
    if pending_migrations():
        call_command("migrate", interactive=False, verbosity=0, stdout=StringIO())


def _try_lock(cursor: CursorWrapper) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
    (locked,) = cursor.fetchone()
    return bool(locked)
