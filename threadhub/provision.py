"""A workspace that can be used at once: an agent, a key and a user, as `up` and `create_workspace` make it."""

from dataclasses import dataclass
from itertools import count

from django.db import transaction

from threadhub import audit
from threadhub.agents import configure
from threadhub.agents.builtin_tools import BUILTIN_TOOLS
from threadhub.agents.models import Agent, Tool
from threadhub.agents.providers import DetectedProvider
from threadhub.lib import secrets
from threadhub.workspaces import actor as actors
from threadhub.workspaces import keys, memberships
from threadhub.workspaces.models import User, Workspace
from threadhub.workspaces.permissions import Role

INSTRUCTIONS = "You are a helpful assistant. Answer briefly."


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What was made, with the secrets that are shown once."""

    workspace: Workspace
    agent: Agent
    api_key: str
    username: str
    password: str


@transaction.atomic
def workspace(*, name: str, username: str, provider: DetectedProvider, role: Role = Role.MEMBER) -> Provisioned:
    """A workspace with an agent that uses `provider`, a user of that role who may sign in, and a key for servers.

    Where the username is taken, the user is called `username-2`, and so on.
    """
    made = Workspace.objects.create(name=name)
    audit.record(actor=actors.system(made.pk), action="workspace.create", ids=[made.wire_id])
    user, password = person(username)
    memberships.join(workspace=made, user=user, role=role)
    tools = [Tool.objects.create(workspace=made, name=tool).pk for tool in BUILTIN_TOOLS]
    agent = configure.create(
        actor=actors.system(made.pk),
        name="Assistant",
        provider=provider.name,
        model=provider.model,
        instructions=INSTRUCTIONS,
        tools=tools,
    )
    _, api_key = keys.create(workspace=made, user=user, name="first key")
    return Provisioned(made, agent, api_key, user.username, password)


def person(username: str, *, staff: bool = False) -> tuple[User, str]:
    """A new user with a random password, and that password. Staff may do everything in the admin."""
    password = secrets.new_password()
    user = User.objects.create_user(_free(username), password=password, is_staff=staff, is_superuser=staff)
    audit.record(actor=audit.By("system"), action="user.create", ids=[user.wire_id], details={"staff": staff})
    return user, password


def _free(username: str) -> str:
    names = (username if number == 1 else f"{username}-{number}" for number in count(1))
    return next(name for name in names if not User.objects.filter(username=name).exists())
