"""What every command of threadhub has in common."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from threadhub import audit


class HubCommand(BaseCommand):
    """Lists `--data-dir` in its help. manage.py takes the option out of the line before the settings are read."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument(
            "--data-dir", metavar="DIR", help="Embedded database, attachments and secrets (default .threadhub)."
        )
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        """What a command writes says so in the audit trail, whoever calls it."""
        before = audit.origin.set(audit.Origin(face="command"))
        try:
            return super().execute(*args, **options)
        finally:
            audit.origin.reset(before)
