"""`manage.py collect_orphan_bundles`: remove files of the archive that nothing needs."""

from typing import Any

from threadhub.management.lifecycle import LifecycleCommand
from threads.lifecycle import candidates, sweeper
from threads.lifecycle.bundles import orphans


class Command(LifecycleCommand):
    help = "Remove unreferenced files of the archive that are a day old, and those of bundles that were superseded."
    asks = "Remove what nothing refers to?"

    def run(self, *, as_json: bool, dry_run: bool, **options: Any) -> None:
        self.confirm(dry_run=dry_run, **options)
        with sweeper.alone():
            removed, kept = orphans.collect(now=candidates.database_now(), dry_run=dry_run)
        self.tell({"removed": removed, "younger": kept}, as_json=as_json)
