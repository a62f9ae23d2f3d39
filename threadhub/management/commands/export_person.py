"""`manage.py export_person`: all threads of one person as one zip file."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from chat_sessions.models import ChatSession
from threadhub.management.commands.export_threads import Command as ExportThreads
from threadhub.management.lifecycle import an_id
from threadhub.workspaces.models import User, Workspace
from threads.lifecycle.erasure.people import KINDS
from threads.lifecycle.exporting import exports


class Command(ExportThreads):
    help = (
        "Export what erase_person would erase of threads: of a user, an end user, a reference or a session's visitor."
    )

    def add_own(self, parser: CommandParser) -> None:
        parser.add_argument("--workspace", type=an_id(Workspace.PREFIX), metavar="ID", help="The person's workspace.")
        subject = parser.add_mutually_exclusive_group(required=True)
        subject.add_argument("--user", type=an_id(User.PREFIX), metavar="ID")
        subject.add_argument("--end-user", metavar="TEXT")
        subject.add_argument("--external-ref", metavar="TEXT")
        subject.add_argument("--session", type=an_id(ChatSession.PREFIX), metavar="ID")
        self.add_target(parser)

    def run(self, *, as_json: bool, to: Path, format: str, **options: Any) -> None:
        workspace_id = self.workspace(options["workspace"])
        kind = next(each for each in KINDS if options[each] is not None)
        threads = exports.of_person(workspace_id=workspace_id, kind=kind, value=options[kind])
        self.write(workspace_id, threads, to, format, as_json)
