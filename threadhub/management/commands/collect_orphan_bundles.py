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
        removed, kept = [], []
        with sweeper.alone():
            now = candidates.database_now()
            for orphan in orphans.find(now=now):
                if not (orphan.dead or orphan.old):
                    kept.append(orphan.path)
                    continue
                if not dry_run:
                    orphans.remove(orphan)
                removed.append(orphan.path)
        self.tell({"removed": removed, "younger": kept}, as_json=as_json)
