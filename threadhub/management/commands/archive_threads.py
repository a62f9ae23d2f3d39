"""`manage.py archive_threads`: into bundles by hand, whatever the policies say."""

from typing import Any

from django.core.management.base import CommandParser

from threadhub.management.lifecycle import LifecycleCommand
from threads.lifecycle import by_hand, candidates, sweeper


class Command(LifecycleCommand):
    help = "Move the messages of active threads into bundles. Held and running threads stay."
    asks = "Archive these threads?"

    def add_own(self, parser: CommandParser) -> None:
        self.add_selection(parser)
        self.add_bounds(parser, parallel=2)

    def run(self, *, as_json: bool, dry_run: bool, **options: Any) -> None:
        narrowed = ("workspace", "agent", "user", "external_ref", "older_than", "inactive_for")
        if not any(options.get(name) for name in narrowed):
            self.misused(
                "Say which threads: --workspace, --agent, --user, --external-ref, --older-than or --inactive-for."
            )
        self.confirm(dry_run=dry_run, **options)
        bounds = self.bounds(**options)
        with sweeper.alone(), sweeper.stopping_on_signals(bounds.stop):
            now = candidates.database_now()
            for selection in self.within(bounds, **options):
                total = by_hand.known(selection=selection, state="active")
                with self.progress("archived", total=total, limit=bounds.limit, dry_run=dry_run) as progress:
                    done = by_hand.archive(
                        selection=selection, now=now, bounds=bounds, dry_run=dry_run, progress=progress
                    )
                self.tell(done.as_json(), as_json=as_json)
                if bounds.limit is not None:
                    bounds.limit -= done.threads
