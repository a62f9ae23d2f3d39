"""What every command of threadhub has in common: `--data-dir`, the audit trail, and the door to all workspaces."""

import getpass
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandParser

from threadhub import audit
from threadhub.isolation import scope
from threadhub.isolation.scope import Door
from threadhub.lib import garbage


class HubCommand(BaseCommand):
    """Lists `--data-dir` in its help. manage.py takes the option out of the line before the settings are read.

    Whoever is at the machine's shell has the database anyway: commands go through a door of their own, and say so in
    the audit trail, unless they only look.
    """

    door: ClassVar[Door] = Door.COMMAND
    only_looks: ClassVar[bool] = False

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument(
            "--data-dir", metavar="DIR", help="Embedded database, attachments and secrets (default .threadhub)."
        )
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        """A process of its own, loaded by now."""
        garbage.keep_what_is_loaded()
        super().run_from_argv(argv)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """What a command writes says so in the audit trail, whoever calls it."""
        before = audit.origin.set(audit.Origin(face="command"))
        try:
            with scope.through(self.door):
                if not (self.only_looks or options.get("dry_run")):
                    self._record_passing()
                return super().execute(*args, **options)
        finally:
            audit.origin.reset(before)

    def _record_passing(self) -> None:
        command = type(self).__module__.rpartition(".")[2]
        details = {"door": self.door.value, "command": command, "login": getpass.getuser()}
        audit.record(actor=audit.By("command"), action="door.open", ids=[], details=details)
