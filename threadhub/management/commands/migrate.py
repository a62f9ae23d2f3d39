"""`manage.py migrate`: Django's own, and then the wall around every table that has a workspace.

One at a time: of two that build the same index beside readers and writers, each could end the other's, and both would
say that all went well. And nobody stands in a queue behind a step that waits for somebody's long transaction: it gives
up soon, and the migration is tried again. What builds an index beside others waits as long as it takes; nobody waits
for that.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import Error, OperationalError, connections, transaction
from psycopg.errors import LockNotAvailable

from threadhub.isolation import scope, walls
from threadhub.launch import installation

LOCK_SECONDS = 2.0  # so long others may wait behind a step that waits for a table
PAUSE_SECONDS = 1.0
GIVE_UP_SECONDS = 300.0
IN_USE = "A table that a migration changes is in use by a long transaction"


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            with scope.as_owner():
                super().handle(*args, **options)
            return
        connection = connections[options["database"]]
        with scope.as_owner(), installation.alone():
            try:
                with connection.execute_wrapper(_impatient):
                    self._until_done(*args, **options)
            finally:
                with contextlib.suppress(Error), connection.cursor() as cursor:
                    cursor.execute("RESET lock_timeout")

    def _until_done(self, *args: Any, **options: Any) -> None:
        """Each migration that is applied stays so, whatever becomes of the next. Raises CommandError."""
        until = time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                super().handle(*args, **options)
                with transaction.atomic(using=options["database"]), connections[options["database"]].cursor() as cursor:
                    walls.build(cursor)
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable):
                    raise
                if time.monotonic() >= until:
                    raise CommandError(f"{IN_USE}: end that, and migrate again.") from error
                self.stderr.write(f"{IN_USE}; trying again.")
                time.sleep(PAUSE_SECONDS)
            else:
                return


def _impatient(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """How long a statement waits for a lock. Said anew before each: what one said is taken back with it."""
    most = 0 if "CONCURRENTLY" in str(sql) else round(LOCK_SECONDS * 1000)
    context["connection"].connection.execute(f"SET lock_timeout = {most}")
    return execute(sql, params, many, context)
