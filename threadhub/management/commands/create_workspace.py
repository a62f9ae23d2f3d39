"""`manage.py create_workspace NAME`: a further workspace that can be used at once."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils.text import slugify

from threadhub import provision
from threadhub.agents.providers import detect
from threadhub.launch import first_start
from threadhub.launch.welcome import Welcome
from threadhub.lib.errors import Invalid
from threadhub.management.command import HubCommand
from threadhub.workspaces.models import Workspace
from threadhub.workspaces.permissions import Role


class Command(HubCommand):
    help = "Make a workspace with an agent, an API key and a user, and print them. The secrets are shown only now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="Its name; names need not differ.")
        parser.add_argument(
            "--role",
            choices=[role.value for role in Role],
            default=Role.MEMBER.value,
            help="What the user is; an owner invites the others (default %(default)s).",
        )
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="Where the hub is (default %(default)s).")
        parser.add_argument("--json", action="store_true", help="Print one line of JSON.")

    def handle(self, *args: Any, name: str, role: str, url: str, json: bool, **options: Any) -> None:
        name = name.strip()
        limit = Workspace._meta.get_field("name").max_length or 0
        if not name.isprintable() or not 0 < len(name) <= limit:
            raise Invalid(f"A workspace's name has 1 to {limit} printable characters.")
        made = provision.workspace(
            name=name, username=slugify(name)[:100] or "user", provider=detect(os.environ), role=Role(role)
        )
        first = first_start.recall(settings.DATA_DIR)
        welcome = Welcome(
            url=url.rstrip("/"),
            workspace_id=made.workspace.wire_id,
            agent_id=made.agent.wire_id,
            api_key=made.api_key,
            username=made.username,
            password=made.password,
            admin_username=first.admin_username if first else None,
            admin_password=first.admin_password if first else None,
            provider=made.agent.provider,
            model=made.agent.model,
        )
        self.stdout.write(welcome.as_json() if json else welcome.as_text())
