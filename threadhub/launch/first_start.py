"""What `up` made on the first start of a data directory: a demo workspace and how to get in, kept to be shown again.

The file belongs to its owner only. It is a list because one data directory may see several databases, one after the
other, by DATABASE_URL: each has its own entry, found again by its workspace.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from threadhub import provision
from threadhub.agents import browsers, configure
from threadhub.agents.models import Agent
from threadhub.agents.origins import MAX_ORIGINS
from threadhub.agents.providers import DetectedProvider
from threadhub.lib import ids
from threadhub.lib.errors import Failed
from threadhub.workspaces import actor as actors
from threadhub.workspaces.models import Workspace

FILE_NAME = "first_start.json"
WORKSPACE = "Demo"
USERNAME = "demo"
ADMIN_USERNAME = "admin"


class FileUnreadable(Failed):
    """The file of the first start cannot be read; remove it, and the next start makes a new demo workspace."""

    code = "first_start_unreadable"


@dataclass(frozen=True, slots=True)
class FirstStart:
    """One database's demo workspace, with its secrets in clear. `provider` and `model` are what `up` gave its agent."""

    workspace_id: str
    agent_id: str
    api_key: str
    username: str
    password: str
    admin_username: str
    admin_password: str
    provider: str
    model: str


def recall(data_dir: Path) -> FirstStart | None:
    """What an earlier start of this data directory made in the connected database, unless it was deleted since."""
    for known in _read(data_dir / FILE_NAME):
        if Workspace.objects.filter(pk=ids.decode(Workspace.PREFIX, known.workspace_id)).exists():
            return known
    return None


def ensure(data_dir: Path, detected: DetectedProvider) -> FirstStart:
    """The demo workspace of this data directory in the connected database, made now if there is none.

    One process at a time (the caller holds the installation's lock).
    """
    known = recall(data_dir)
    if known is not None:
        return known
    with transaction.atomic():
        made = provision.workspace(name=WORKSPACE, username=USERNAME, provider=detected)
        browsers.new_public_key(actor=actors.system(made.workspace.pk), agent=made.agent, now=timezone.now())
        admin, admin_password = provision.person(ADMIN_USERNAME, staff=True)
        first = FirstStart(
            workspace_id=made.workspace.wire_id,
            agent_id=made.agent.wire_id,
            api_key=made.api_key,
            username=made.username,
            password=made.password,
            admin_username=admin.username,
            admin_password=admin_password,
            provider=detected.name,
            model=detected.model,
        )
        # Before the commit: what is only in the file is made anew next time, what were only in the database is lost.
        _write(data_dir / FILE_NAME, [*_read(data_dir / FILE_NAME), first])
    return first


def follow_environment(data_dir: Path, known: FirstStart, detected: DetectedProvider) -> tuple[FirstStart, str]:
    """Give the demo agent the provider that the environment now offers, and say which one it has, in a sentence.

    Only while it still has the provider and model that `up` gave it: what somebody chose stays.
    """
    agent = Agent.objects.filter(pk=ids.decode(Agent.PREFIX, known.agent_id)).first()
    if agent is None:
        return known, "The demo agent was deleted."
    if (agent.provider, agent.model) == (detected.name, detected.model):
        return replace(known, provider=agent.provider, model=agent.model), detected.sentence
    if (agent.provider, agent.model) != (known.provider, known.model):
        sentence = (
            f"The demo agent answers with {agent.provider} {agent.model}, as somebody set it in the admin or the API."
        )
        return replace(known, provider=agent.provider, model=agent.model), sentence.replace("  ", " ")
    with transaction.atomic():
        configure.change(
            actor=actors.system(agent.workspace_id),
            agent=agent,
            now=timezone.now(),
            provider=detected.name,
            model=detected.model,
        )
        changed = replace(known, provider=detected.name, model=detected.model)
        others = [each for each in _read(data_dir / FILE_NAME) if each.workspace_id != known.workspace_id]
        _write(data_dir / FILE_NAME, [*others, changed])
    return changed, f"{detected.sentence} (Until now it was {known.provider}.)"


def open_chat_page(known: FirstStart, origins: Sequence[str]) -> str | None:
    """Let the demo agent's chat page in at the origins where it is served now.

    Returns the agent's public key; None where it has none any more, or names so many origins that these find no room.
    """
    agent = Agent.objects.filter(pk=ids.decode(Agent.PREFIX, known.agent_id)).first()
    if agent is None or agent.public_key is None or not agent.active:
        return None
    missing = [each for each in origins if each not in agent.allowed_origins]
    if len(agent.allowed_origins) + len(missing) > MAX_ORIGINS:
        return None
    if missing:
        configure.change(
            actor=actors.system(agent.workspace_id),
            agent=agent,
            now=timezone.now(),
            allowed_origins=[*agent.allowed_origins, *missing],
        )
    return agent.public_key


def _read(path: Path) -> list[FirstStart]:
    if not path.exists():
        return []
    try:
        return [FirstStart(**each) for each in json.loads(path.read_text())]
    except (ValueError, TypeError) as error:
        raise FileUnreadable(
            f"{path} cannot be read; remove it, and the next start makes a new demo workspace."
        ) from error


def _write(path: Path, entries: list[FirstStart]) -> None:
    """All of it or nothing, whenever the process or the machine stops."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump([asdict(each) for each in entries], file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
