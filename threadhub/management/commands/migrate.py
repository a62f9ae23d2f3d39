"""`manage.py migrate`: Django's own, and then the wall around every table that has a workspace.

One at a time: of two that build the same index beside readers and writers, each could end the other's, and both would
say that all went well. And nobody stands in a queue behind a step that waits for somebody's long transaction: it gives
up soon, and tries again. What builds an index beside others waits as long as it takes; nobody waits for that.
"""

import time
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections, transaction
from django.db.migrations import Migration
from psycopg.errors import LockNotAvailable

from threadhub.isolation import scope, walls
from threadhub.launch import installation

LOCK_SECONDS = 2  # so long others may wait behind a migration that waits for a table
TRIES = 100
PAUSE_SECONDS = 1.0


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            with scope.as_owner():
                super().handle(*args, **options)
            return
        self.database = options["database"]
        with scope.as_owner(), installation.alone():
            try:
                self._until_done(*args, **options)
            finally:
                self._wait_for_locks("0")
            with transaction.atomic(using=self.database), connections[self.database].cursor() as cursor:
                walls.build(cursor)

    def migration_progress_callback(self, action: str, migration: Migration | None = None, fake: bool = False) -> None:
        """How long the next migration waits for a table; then what Django says."""
        if action in ("apply_start", "unapply_start") and migration is not None:
            self._wait_for_locks(f"{LOCK_SECONDS}s" if migration.atomic else "0")
        super().migration_progress_callback(action, migration, fake)

    def _until_done(self, *args: Any, **options: Any) -> None:
        """Each migration that is applied stays so, whatever becomes of the next. Raises CommandError."""
        for left in reversed(range(TRIES)):
            try:
                super().handle(*args, **options)
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                sentence = "A table that a migration changes is in use by a long transaction"
                if not left:
                    raise CommandError(f"{sentence}: end that, and migrate again.") from error
                self.stderr.write(f"{sentence}; trying again.")
                time.sleep(PAUSE_SECONDS)
            else:
                return

    def _wait_for_locks(self, most: str) -> None:
        with connections[self.database].cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [most])
