"""What the commands of a thread's life have in common: which threads, how far, how it is told, how it ends."""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, NoReturn
from uuid import UUID

import psycopg
from django.core.management.base import CommandError, CommandParser
from django.db import OperationalError

from threadhub.agents.models import Agent
from threadhub.lib import ids
from threadhub.lib.errors import DomainError
from threadhub.management.command import HubCommand
from threadhub.management.progress import Progress, shown
from threadhub.workspaces.models import User, Workspace
from threads.lifecycle.batches import Bounds
from threads.lifecycle.bundles.verify import Damaged
from threads.lifecycle.candidates import Selection
from threads.lifecycle.census import CountsDoNotAgree
from threads.lifecycle.sweeper import SweepRunning

FAILED, USAGE, LOCKED, NOT_VERIFIED = 1, 2, 3, 4
DURATION = re.compile(r"([1-9][0-9]{0,6})([hdw])", re.ASCII)
LONGEST = timedelta(days=36_525)
PAUSE_SECONDS = 0.02  # between batches: somebody waits for a command, which nobody does for the night's sweep
MOST_PARALLEL = 16  # batches; one process packs no faster with more
UNITS = {"h": "hours", "d": "days", "w": "weeks"}
EXIT_CODES = (
    "Exit codes: 0 done, 1 some failed, 2 wrong usage and nothing done, 3 another sweep is running,"
    " 4 verification failed."
)


def duration(text: str) -> timedelta:
    """`90d`, `36h`, `2w`, up to a hundred years. Refuses everything else: a forgotten unit must never be guessed."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time: write a whole number above 0 with h, d or w, such as 90d"
        )
    length = timedelta(**{UNITS[match[2]]: int(match[1])})
    if length > LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is longer than a hundred years")
    return length


def positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def few(text: str) -> int:
    number = positive(text)
    if number > MOST_PARALLEL:
        raise argparse.ArgumentTypeError(f"{text} is more than {MOST_PARALLEL}")
    return number


def an_id(prefix: str) -> Callable[[str], UUID]:
    def read(text: str) -> UUID:
        try:
            return ids.decode(prefix, text)
        except ids.InvalidId as error:
            raise argparse.ArgumentTypeError(f"{text!r} is no id of a {prefix}") from error

    return read


class Ended(CommandError):
    """The command is over, with an exit code."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence, returncode=code)


class LifecycleCommand(HubCommand):
    """Subclasses write `run`; whatever the domain raises becomes a sentence and an exit code."""

    asks = ""  # the question before something is done; empty: it only reads

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = EXIT_CODES
        parser.add_argument("--json", action="store_true", dest="as_json", help="Print one line of JSON per workspace.")
        if self.asks:
            parser.add_argument("--dry-run", action="store_true", help="Say what would be done; change nothing.")
            parser.add_argument("--yes", action="store_true", help="Do not ask.")
        self.add_own(parser)

    def add_own(self, parser: CommandParser) -> None:
        """Further options."""

    def add_workspace(self, parser: CommandParser) -> None:
        parser.add_argument("--workspace", type=an_id(Workspace.PREFIX), metavar="ID", help="Only this workspace.")

    def add_whose(self, parser: CommandParser) -> None:
        self.add_workspace(parser)
        parser.add_argument("--agent", type=an_id(Agent.PREFIX), metavar="ID", help="Only threads with this agent.")
        parser.add_argument("--user", type=an_id(User.PREFIX), metavar="ID", help="Only threads of this user.")
        parser.add_argument("--external-ref", metavar="TEXT", help="Only threads with exactly this reference.")

    def add_selection(self, parser: CommandParser) -> None:
        self.add_whose(parser)
        parser.add_argument("--older-than", type=duration, metavar="TIME", help="Made before that long, such as 90d.")
        parser.add_argument("--inactive-for", type=duration, metavar="TIME", help="Without a message for that long.")

    def add_bounds(self, parser: CommandParser, *, parallel: int | None = None) -> None:
        """How far, and, where batches can go on beside each other, how many of them."""
        said = "Threads per transaction; default %(default)s."
        parser.add_argument("--limit", type=positive, metavar="N", help="Take at most so many threads.")
        parser.add_argument("--batch-size", type=positive, metavar="N", default=500, help=said)
        parser.add_argument("--max-seconds", type=positive, metavar="N", help="Begin no further batch after that long.")
        if parallel is not None:
            said = (
                "Batches at a time, each on a connection of its own; default %(default)s. One where --limit is given."
            )
            parser.add_argument("--parallel", type=few, metavar="N", default=parallel, help=said)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """A database that is gone, from the first question on, is one sentence."""
        try:
            return super().execute(*args, **options)
        except (OperationalError, psycopg.OperationalError) as error:  # the driver's own: a list's cursor was closed
            raise Ended(f"The database cannot be used: {' '.join(str(error).split())}", FAILED) from error

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.run(**options)
        except CommandError:
            raise
        except SweepRunning as error:
            raise Ended(error.message, LOCKED) from error
        except (Damaged, CountsDoNotAgree) as error:
            raise Ended(error.message, NOT_VERIFIED) from error
        except DomainError as error:
            raise Ended(error.message, FAILED) from error
        except OSError as error:
            raise Ended(f"The archive cannot be used: {error}.", FAILED) from error

    def run(self, *args: Any, **options: Any) -> None:
        """What the command does."""
        raise NotImplementedError

    def selections(self, **options: Any) -> Iterator[Selection]:
        """One per workspace, in the order of their making."""
        workspace = options.get("workspace")
        self.known(workspace)
        wanted = Workspace.objects.order_by("created_at", "id")
        for found in wanted if workspace is None else wanted.filter(pk=workspace):
            yield Selection(
                workspace_id=found.pk,
                agent_id=options.get("agent"),
                user_id=options.get("user"),
                external_ref=options.get("external_ref"),
                older_than=options.get("older_than"),
                inactive_for=options.get("inactive_for"),
            )

    def within(self, bounds: Bounds, **options: Any) -> Iterator[Selection]:
        """The same, until the bounds are reached; the first of them in any case."""
        for number, selection in enumerate(self.selections(**options)):
            if number and (bounds.over is not None or bounds.limit == 0):
                return
            yield selection

    def known(self, workspace: UUID | None) -> None:
        """Nothing is done where a workspace is named that is none."""
        if workspace is not None and not Workspace.objects.filter(pk=workspace).exists():
            self.misused(f"There is no workspace {ids.encode(Workspace.PREFIX, workspace)}.")

    def bounds(
        self, *, limit: int | None, batch_size: int, max_seconds: int | None, parallel: int = 1, **options: Any
    ) -> Bounds:
        return Bounds(
            limit=limit, batch_size=batch_size, max_seconds=max_seconds, parallel=parallel, pause=PAUSE_SECONDS
        )

    def confirm(self, *, yes: bool, dry_run: bool, **options: Any) -> None:
        """Ask, on a terminal; elsewhere only --yes will do."""
        if yes or dry_run:
            return
        if not sys.stdin.isatty():
            self.misused("Nobody is there to ask: say --yes, or --dry-run to see what would be done.")
        self.stderr.write(f"{self.asks} [y/N] ", ending="")
        if input().strip().lower() not in ("y", "yes"):
            self.misused("Nothing was done.")

    def tell(self, facts: dict[str, Any], *, as_json: bool) -> None:
        """Facts as a line of JSON, or as lines for people."""
        if as_json:
            self.stdout.write(json.dumps(facts, ensure_ascii=False))
            return
        for name, value in facts.items():
            if isinstance(value, dict):
                value = ", ".join(f"{key} {count}" for key, count in value.items()) or "–"
            elif isinstance(value, list):
                value = ", ".join(str(each) for each in value) or "–"
            self.stdout.write(f"{name:>10}  {'–' if value is None else value}")
        self.stdout.write("")

    def progress(
        self, what: str, *, total: int | None = None, limit: int | None = None, dry_run: bool = False
    ) -> AbstractContextManager[Progress]:
        """A bar on a terminal, one line per batch elsewhere; nothing in a dry run, which has no batches. `total`: how
        many there are, where that is known; of them `limit` at most are taken."""
        total = total if total is None or limit is None else min(total, limit)
        return shown(what, self.stderr, total=total, silent=dry_run)

    def say_search_follows(self, messages: int) -> None:
        """On standard error, where so many messages are not found yet."""
        if messages:
            self.stderr.write(f"Search follows: {messages:,} messages are found once a worker is through with them.")

    def misused(self, sentence: str) -> NoReturn:
        raise Ended(sentence, USAGE)
