"""`manage.py collect_orphan_bundles`: remove files of the archive that nothing needs."""

from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from threadhub.management.lifecycle import LifecycleCommand, positive
from threads.lifecycle import candidates, sweeper
from threads.lifecycle.bundles import orphans


class Command(LifecycleCommand):
    help = "Remove unreferenced files of the archive that are a day old, and those of bundles that were superseded."
    asks = "Remove what nothing refers to?"

    def add_own(self, parser: CommandParser) -> None:
        self.add_workspace(parser)
        parser.add_argument("--limit", type=positive, metavar="N", help="Remove at most so many.")
        parser.add_argument("--max-seconds", type=positive, metavar="N", help="Remove no further one after that long.")

    def run(
        self,
        *,
        workspace: UUID | None,
        limit: int | None,
        max_seconds: int | None,
        as_json: bool,
        dry_run: bool,
        **options: Any,
    ) -> None:
        self.known(workspace)
        self.confirm(dry_run=dry_run, **options)
        with sweeper.alone():
            removed, kept = orphans.collect(
                now=candidates.database_now(),
                dry_run=dry_run,
                workspace_id=workspace,
                limit=limit,
                max_seconds=max_seconds,
            )
        self.tell({"removed": removed, "younger": kept}, as_json=as_json)
