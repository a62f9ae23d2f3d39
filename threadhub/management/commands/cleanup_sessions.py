"""`manage.py cleanup_sessions`: end chat sessions that expired, remove rows of those that ended long ago."""

import json as json_module
import re
import sys
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db import Error as DatabaseError
from django.utils import timezone

from chat_sessions.cleanup import BATCH, AnotherSweep, Bounds, Swept, sweep
from threadhub.lib import ids
from threadhub.management.command import HubCommand
from threadhub.workspaces.models import Workspace

SOME_FAILED, USAGE, ANOTHER_SWEEP = 1, 2, 3
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def age(text: str) -> timedelta:
    """`90d` and the like; a unit is a must, and nothing is no age."""
    match = re.fullmatch(r"([1-9][0-9]{0,6})([smhdw])", text, re.ASCII)
    if match is None:
        raise ArgumentTypeError(f"{text!r} is no age: a whole number above zero and s, m, h, d or w, as in 90d.")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def above_zero(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text, re.ASCII):
        raise ArgumentTypeError(f"{text!r} is no whole number above zero.")
    return int(text)


def workspace_id(text: str) -> UUID:
    try:
        return ids.decode(Workspace.PREFIX, text)
    except ids.InvalidId as error:
        raise ArgumentTypeError(f"{text!r} is no id of a workspace (workspace_…).") from error


class Command(HubCommand):
    help = (
        "End chat sessions that expired, and remove the rows of those that ended long ago. Threads stay. "
        "Exit codes: 0 done, 1 failed on the way, 2 usage, 3 another sweep is at it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--workspace", type=workspace_id, metavar="ID", help="Of this workspace only.")
        parser.add_argument(
            "--older-than", type=age, metavar="AGE", help="Remove what ended longer ago, as 90d (default: the setting)."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only count; nothing is changed.")
        parser.add_argument("--limit", type=above_zero, metavar="N", help="So many sessions at most.")
        parser.add_argument("--batch-size", type=above_zero, default=BATCH, metavar="N", help="Default %(default)s.")
        parser.add_argument("--max-seconds", type=above_zero, metavar="N", help="Stop after the batch of that moment.")
        parser.add_argument("--json", action="store_true", help="Print one line of JSON.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")

    def handle(self, *args: Any, dry_run: bool, json: bool, yes: bool, **options: Any) -> None:
        names = ("older_than", "limit", "batch_size", "max_seconds")
        bounds = Bounds(workspace_id=options["workspace"], **{name: options[name] for name in names})
        if bounds.workspace_id and not Workspace.objects.filter(pk=bounds.workspace_id).exists():
            raise CommandError("There is no such workspace.", returncode=USAGE)
        now = timezone.now()
        if not dry_run and not yes:
            self._confirm(sweep(now=now, bounds=bounds, dry_run=True))
        try:
            swept = sweep(now=now, bounds=bounds, dry_run=dry_run)
        except AnotherSweep as error:
            raise CommandError(error.message, returncode=ANOTHER_SWEEP) from error
        except DatabaseError as error:
            raise CommandError(f"Stopped on the way: {error}", returncode=SOME_FAILED) from error
        self.stdout.write(_as_json(swept, dry_run) if json else _as_text(swept, dry_run))

    def _confirm(self, planned: Swept) -> None:
        """Ask a person; a script says --yes. Raises CommandError with the exit code of wrong usage."""
        if not sys.stdin.isatty():
            raise CommandError("Nothing is done without --yes or --dry-run.", returncode=USAGE)
        self.stderr.write(_as_text(planned, True))
        if input("Go on? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Nothing was done.", returncode=USAGE)


def _as_json(swept: Swept, dry_run: bool) -> str:
    told = {"dry_run": dry_run, "ended": swept.ended, "removed": swept.removed, "complete": swept.complete}
    return json_module.dumps(told)


def _as_text(swept: Swept, dry_run: bool) -> str:
    would = "Would end" if dry_run else "Ended"
    removed = "remove" if dry_run else "removed"
    rest = "" if swept.complete else " There are more."
    return f"{would} {swept.ended} expired chat sessions and {removed} {swept.removed} that ended long ago.{rest}"
