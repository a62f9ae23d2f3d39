"""`manage.py import_threads FILE`: exports of threadhub, of ChatGPT and of the Assistants API."""

from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser

from threadhub.agents.models import Agent
from threadhub.management.lifecycle import NOT_VERIFIED, Ended, LifecycleCommand, an_id
from threadhub.workspaces import actor as actors
from threadhub.workspaces.models import User, Workspace
from threads import search_backlog
from threads.lifecycle import candidates
from threads.lifecycle.importing import imports
from threads.lifecycle.importing.refusal import ImportRefused


class Command(LifecycleCommand):
    help = "Import threads: all of a file or nothing. What is there already is left alone, who was erased stays erased."
    asks = "Import these threads?"

    def add_own(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="A zip of export_threads or of ChatGPT, or JSON.")
        parser.add_argument("--workspace", type=an_id(Workspace.PREFIX), metavar="ID", help="Into which workspace.")
        parser.add_argument(
            "--agent", type=an_id(Agent.PREFIX), metavar="ID", help="For threads whose agent is not here."
        )
        parser.add_argument("--user", type=an_id(User.PREFIX), metavar="ID", help="For threads that are nobody's here.")

    def run(self, *, file: Path, workspace: UUID | None, as_json: bool, dry_run: bool, **options: Any) -> None:
        if workspace is None or not Workspace.objects.filter(pk=workspace).exists():
            self.misused("Say into which workspace: --workspace ID.")
        if not file.is_file():
            self.misused(f"There is no file {file}.")
        agent, user = options["agent"], options["user"]
        if agent is not None and not Agent.objects.filter(pk=agent, workspace_id=workspace).exists():
            self.misused("There is no such agent in the workspace.")
        if user is not None and not User.objects.filter(pk=user).exists():
            self.misused("There is no such user.")
        self.confirm(dry_run=dry_run, **options)
        try:
            done = imports.import_file(
                actor=actors.system(workspace),
                path=file,
                now=candidates.database_now(),
                agent_id=agent,
                user_id=user,
                dry_run=dry_run,
            )
        except ImportRefused as error:
            raise Ended(error.message, NOT_VERIFIED) from error
        self.tell(done.as_json(), as_json=as_json)
        if not dry_run:
            self.say_search_follows(search_backlog.waiting(workspace_id=workspace))
