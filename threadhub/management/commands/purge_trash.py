"""`manage.py purge_trash`: destroy what has been in the trash long enough."""

from typing import Any

from django.core.management.base import CommandParser

from threadhub.management.lifecycle import FAILED, Ended, LifecycleCommand
from threads.lifecycle import by_hand, candidates, sweeper
from threads.lifecycle.bundles.verify import Damaged


class Command(LifecycleCommand):
    help = "Purge trashed threads whose time in the trash is over. Held ones, and those that a policy retains, stay."
    asks = "Purge the trash, for ever?"

    def add_own(self, parser: CommandParser) -> None:
        self.add_selection(parser)
        self.add_bounds(parser, parallel=3)

    def run(self, *, as_json: bool, dry_run: bool, **options: Any) -> None:
        self.confirm(dry_run=dry_run, **options)
        bounds = self.bounds(**options)
        damaged = 0
        with sweeper.alone(), sweeper.stopping_on_signals(bounds.stop):
            now = candidates.database_now()
            for selection in self.within(bounds, **options):
                with self.progress("purged", dry_run=dry_run) as progress:
                    done = by_hand.purge_trash(
                        selection=selection, now=now, bounds=bounds, dry_run=dry_run, progress=progress
                    )
                self.tell(done.as_json(), as_json=as_json)
                for sentence in done.faults:
                    self.stderr.write(sentence)
                damaged += done.skipped.get(Damaged.code, 0)
                if bounds.limit is not None:
                    bounds.limit -= done.threads
        if damaged:
            raise Ended(f"{damaged} threads were not purged: their bundles are damaged.", FAILED)
