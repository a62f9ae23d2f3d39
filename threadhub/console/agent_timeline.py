"""An agent's history as one list, newest first: its versions, and the events that tell what no version holds.

Both are read by (created_at, id) from a cursor on, so that a page costs the same at any depth. What one save changed of
both is one entry.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from threadhub.agents import changes, versions
from threadhub.agents.models import Agent, AgentVersion
from threadhub.audit.models import AuditEvent
from threadhub.console import agent_changes, identities, keyset
from threadhub.console.agent_changes import Difference
from threadhub.workspaces.actor import Actor

PAGE = 20
NAMED_SINCE = 200  # events that are looked through for what changed since a version
BEFORE_HISTORY = "before there was history"


@dataclass(slots=True)
class Entry:
    """What one person changed at one time. `version` where the agent answers otherwise since; `is_first`: nothing
    is known of before."""

    at: datetime
    author: str
    version: AgentVersion | None = None
    differences: list[Difference] = field(default_factory=list)
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, and the cursor of older ones, if there are any. `newest` is the number of the version in force."""

    entries: list[Entry]
    older: str | None
    newest: int | None


def page(*, actor: Actor, agent: Agent, cursor: str | None) -> Page:
    """A page of the history. Raises PermissionMissing."""
    made: list[AgentVersion] = _from(versions.of_agent(actor=actor, agent=agent), cursor)
    told: list[AuditEvent] = _from(changes.of_agent(actor=actor, agent=agent), cursor)
    both: list[AgentVersion | AuditEvent] = [*made, *told]
    both.sort(key=lambda row: (row.created_at, row.pk), reverse=True)
    shown = both[:PAGE]
    older = keyset.cursor_at("o", shown[-1], by_time=True) if len(both) > PAGE else None
    return Page(_entries(agent, shown, made), older, versions.newest(agent=agent))


def changed_since(*, actor: Actor, agent: Agent, version: AgentVersion) -> list[str]:
    """What changed since a version was made that going back to it leaves as it is, by its names for people."""
    events = changes.of_agent(actor=actor, agent=agent, since=version.created_at)[:NAMED_SINCE]
    later = [event for event in events if event.details.get("version") != version.number]
    names: dict[str, None] = {}
    for event in reversed(later):
        names |= dict.fromkeys(each.title for each in agent_changes.of_event(event, {}))
    return list(names)


def author_of(version: AgentVersion) -> str:
    return identities.told(version, "author") if version.author else BEFORE_HISTORY


def _from(queryset: QuerySet[Any], cursor: str | None) -> list[Any]:
    """One more than a page of each, so that both together make a page and tell whether there are more."""
    return keyset.page(queryset=queryset, cursor=cursor, size=PAGE + 1, by_time=True).rows


def _entries(agent: Agent, shown: list[AgentVersion | AuditEvent], made: list[AgentVersion]) -> list[Entry]:
    events = [row for row in shown if isinstance(row, AuditEvent)]
    authors = [row.actor if isinstance(row, AuditEvent) else row.author for row in shown]
    names = identities.names([*authors, *agent_changes.people(events)])
    before = {version.number: version.values for version in made}
    tools = agent_changes.tool_names(agent, before.values())
    entries: list[Entry] = []
    of_version: dict[int, Entry] = {}
    waiting: dict[int, list[Difference]] = {}  # of an event, which is a moment newer than the version it belongs to
    numbers = {row.number for row in shown if isinstance(row, AgentVersion)}
    for row, author in zip(shown, authors, strict=True):
        name = names.get(author, "") or BEFORE_HISTORY
        if isinstance(row, AgentVersion):
            entry = Entry(row.created_at, name, row, *_of_version(row, before, tools))
            entry.differences += waiting.pop(row.number, [])
            of_version[row.number] = entry
            entries.append(entry)
            continue
        differences, number = agent_changes.of_event(row, names), row.details.get("version")
        if number in of_version:  # of a clock that goes after the database's
            of_version[number].differences += differences
        elif number in numbers:
            waiting[number] = differences
        else:
            entries.append(Entry(row.created_at, name, differences=differences))
    return entries


def _of_version(
    version: AgentVersion, known: dict[int, dict[str, Any]], tools: dict[str, str]
) -> tuple[list[Difference], bool]:
    """What a version changed, and whether it is the first."""
    earlier = known.get(version.number - 1)
    if earlier is None:
        return [], version.number == 1
    return agent_changes.between(earlier, version.values, tools), False
