"""`manage.py retention_apply`: one sweep."""

from typing import Any

from django.core.management.base import CommandParser

from threadhub.management.lifecycle import FAILED, Ended, LifecycleCommand
from threads.lifecycle import apply, candidates, sweeper


class Command(LifecycleCommand):
    help = "Archive, trash and purge what is due by the policies in force. SIGTERM ends it after the batch in hand."
    asks = "Apply the policies in force?"

    def add_own(self, parser: CommandParser) -> None:
        self.add_selection(parser)
        self.add_bounds(parser)
        parser.add_argument(
            "--no-brake", action="store_true", help="Go on where more of a workspace would go than its brake allows."
        )

    def run(self, *, as_json: bool, dry_run: bool, no_brake: bool, **options: Any) -> None:
        self.confirm(dry_run=dry_run, **options)
        bounds = self.bounds(**options)
        faults: list[str] = []
        ended = set()
        with sweeper.alone(), sweeper.stopping_on_signals(bounds.stop):
            cutoff = candidates.database_now()
            for selection in self.within(bounds, **options):
                if dry_run:
                    told = apply.foresee(selection=selection, cutoff=cutoff, bounds=bounds, brake=not no_brake)
                    self.tell(told, as_json=as_json)
                    if bounds.limit is not None:
                        bounds.limit -= told["taken"]
                    continue
                with self.progress("threads") as progress:
                    outcome = apply.apply(
                        selection=selection,
                        cutoff=cutoff,
                        bounds=bounds,
                        brake=not no_brake,
                        progress=progress,
                        expect=progress.expect,
                    )
                self.tell({"workspace": outcome.plan.as_json()["workspace"], **outcome.as_json()}, as_json=as_json)
                ended.add(outcome.ended)
                faults += outcome.failed
                if bounds.limit is not None:
                    bounds.limit -= outcome.taken
        for sentence in faults:
            self.stderr.write(sentence)
        if "brake" in ended:
            raise Ended("The brake stopped a workspace's sweep: look at its plan, then use --no-brake.", FAILED)
        if faults:
            raise Ended("Some threads were not purged: their bundles are damaged.", FAILED)
