"""`manage.py restore_threads`: archived threads back out of their bundles, trashed ones back out of the trash."""

from typing import Any

from django.core.management.base import CommandParser

from threadhub.lib import ids
from threadhub.management.lifecycle import FAILED, NOT_VERIFIED, Ended, LifecycleCommand, an_id
from threads.lifecycle import by_hand, candidates, sweeper
from threads.models import Thread


class Command(LifecycleCommand):
    help = "Make archived threads active again, with their messages; with --trashed those in the trash."
    asks = "Restore these threads?"

    def add_own(self, parser: CommandParser) -> None:
        self.add_selection(parser)
        self.add_bounds(parser, parallel=2)
        parser.add_argument("--thread", type=an_id(Thread.PREFIX), metavar="ID", help="Only this thread.")
        parser.add_argument("--trashed", action="store_true", help="What is in the trash, not what is archived.")

    def run(self, *, as_json: bool, dry_run: bool, thread: Any, trashed: bool, **options: Any) -> None:
        narrowed = ("workspace", "agent", "user", "external_ref", "older_than", "inactive_for")
        if thread is None and not any(options.get(name) for name in narrowed):
            self.misused("Say which threads: --thread, --workspace, --agent, --user, --external-ref, …")
        self.confirm(dry_run=dry_run, **options)
        bounds = self.bounds(**options)
        restored = damaged = failed = 0
        with sweeper.alone(), sweeper.stopping_on_signals(bounds.stop):
            now = candidates.database_now()
            for selection in self.within(bounds, **options):
                if thread is not None:
                    selection = selection.with_thread(thread)
                total = by_hand.known(selection=selection, state="trashed" if trashed else "archived")
                with self.progress("restored", total=total, limit=bounds.limit, dry_run=dry_run) as progress:
                    done = by_hand.restore(
                        selection=selection, now=now, bounds=bounds, trashed=trashed, dry_run=dry_run, progress=progress
                    )
                self.tell(done.as_json(), as_json=as_json)
                self.say_search_follows(done.search_follows)
                restored += done.threads
                damaged += done.skipped.get("bundle_damaged", 0)
                failed += len(done.faults)
                for sentence in done.faults:
                    self.stderr.write(sentence)
                if bounds.limit is not None:
                    bounds.limit -= done.threads
        if damaged:
            raise Ended(f"{damaged} threads were not restored: their bundles are damaged.", NOT_VERIFIED)
        if failed:
            raise Ended(f"{failed} threads were not restored.", FAILED)
        if thread is not None and not restored:
            place = "in the trash" if trashed else "archived"
            raise Ended(f"{ids.encode(Thread.PREFIX, thread)} is not {place}; nothing was restored.", FAILED)
