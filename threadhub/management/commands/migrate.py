"""`manage.py migrate`: Django's own, and then the wall around every table that has a workspace."""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections, transaction

from threadhub.isolation import scope, walls


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        with scope.as_owner():
            super().handle(*args, **options)
            if not (options["plan"] or options["check_unapplied"]):
                with transaction.atomic(using=options["database"]), connections[options["database"]].cursor() as cursor:
                    walls.build(cursor)
