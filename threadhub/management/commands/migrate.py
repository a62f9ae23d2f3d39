"""`manage.py migrate`: Django's own, and then the wall around every table that has a workspace.

One at a time: of two that build the same index beside readers and writers, each could end the other's, and both would
say that all went well.
"""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections, transaction

from threadhub.isolation import scope, walls
from threadhub.launch import installation


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        if options["plan"] or options["check_unapplied"]:
            with scope.as_owner():
                super().handle(*args, **options)
            return
        with scope.as_owner(), installation.alone():
            super().handle(*args, **options)
            with transaction.atomic(using=options["database"]), connections[options["database"]].cursor() as cursor:
                walls.build(cursor)
