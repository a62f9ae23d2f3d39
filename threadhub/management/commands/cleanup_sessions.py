"""`manage.py cleanup_sessions`: end chat sessions that expired, remove rows of those that ended long ago."""

import sys
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError, OperationalError

from chat_sessions.cleanup import BATCH, AnotherSweep, Bounds, Swept, sweep
from threadhub.agents.models import Agent
from threadhub.management.lifecycle import FAILED, LOCKED, Ended, LifecycleCommand, an_id, duration, positive
from threadhub.workspaces.models import User
from threads.lifecycle import candidates

NARROWED = ("agent", "user", "external_ref", "older_than", "inactive_for", "limit", "batch_size", "max_seconds")


class Command(LifecycleCommand):
    help = "End chat sessions that expired, and remove the rows of those that ended long ago. Threads stay."
    asks = "Go on?"

    def add_own(self, parser: CommandParser) -> None:
        self.add_workspace(parser)
        parser.add_argument("--agent", type=an_id(Agent.PREFIX), metavar="ID", help="Only sessions with this agent.")
        parser.add_argument("--user", type=an_id(User.PREFIX), metavar="ID", help="Only sessions of this user.")
        parser.add_argument("--external-ref", metavar="TEXT", help="Only sessions with exactly this reference.")
        said = "Remove what ended longer ago, such as 90d; default: the setting CHAT_SESSION_KEPT_SECONDS."
        parser.add_argument("--older-than", type=duration, metavar="TIME", help=said)
        said = "Only sessions that have been over, or expired unused, for that long."
        parser.add_argument("--inactive-for", type=duration, metavar="TIME", help=said)
        parser.add_argument("--limit", type=positive, metavar="N", help="So many sessions at most.")
        said = "Sessions per transaction; default %(default)s."
        parser.add_argument("--batch-size", type=positive, default=BATCH, metavar="N", help=said)
        parser.add_argument("--max-seconds", type=positive, metavar="N", help="Begin no further batch after that long.")

    def run(self, *, workspace: Any, as_json: bool, dry_run: bool, yes: bool, **options: Any) -> None:
        self.known(workspace)
        names = {"agent": "agent_id", "user": "user_id"}
        bounds = Bounds(workspace_id=workspace, **{names.get(name, name): options[name] for name in NARROWED})
        now = candidates.database_now()
        if not (dry_run or yes) and sys.stdin.isatty():
            self.stderr.write(_as_text(sweep(now=now, bounds=bounds, dry_run=True), True))
        self.confirm(dry_run=dry_run, yes=yes)
        try:
            swept = sweep(now=now, bounds=bounds, dry_run=dry_run)
        except AnotherSweep as error:
            raise Ended(error.message, LOCKED) from error
        except OperationalError:
            raise
        except DatabaseError as error:
            raise Ended(f"Stopped on the way: {error}", FAILED) from error
        if as_json:
            told = {"dry_run": dry_run, "ended": swept.ended, "removed": swept.removed, "complete": swept.complete}
            self.tell(told, as_json=True)
        else:
            self.stdout.write(_as_text(swept, dry_run))


def _as_text(swept: Swept, dry_run: bool) -> str:
    would = "Would end" if dry_run else "Ended"
    removed = "remove" if dry_run else "removed"
    rest = "" if swept.complete else " There are more."
    return f"{would} {swept.ended} expired chat sessions and {removed} {swept.removed} that ended long ago.{rest}"
