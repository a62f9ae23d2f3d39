"""What an agent's versions and the events about it changed, in people's words and line by line."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from threadhub.agents import changes, versions
from threadhub.agents.models import Agent, Budget, Tool
from threadhub.audit.models import AuditEvent
from threadhub.console import display
from threadhub.lib import ids

LONGEST_LINE = 500  # characters shown of a line that changed
MOST_LINES = 400
TITLES = {
    "max_output_tokens": "Output tokens at most",
    "context_budget": "Context budget",
    "max_steps": "Steps at most",
    "max_seconds": "Seconds at most",
    "max_run_tokens": "Tokens of a run at most",
    "max_run_cost": "Cost of a run at most",
    "titles": "Names threads",
    "double_texting": "Double-texting",
    "allowed_roles": "Only for these roles",
    "allowed_users": "For these people",
    "allowed_keys": "For these API keys",
    "identity_required": "Visitors must prove who they are",
}
WHAT_BECAME_OF_KEYS = {
    changes.MADE: "A new one was made.",
    changes.RENEWED: "A new one took the place of the one before.",
    changes.WITHDRAWN: "It was withdrawn.",
}
OF_API_KEYS = {
    "api_key.create": "was made for this agent alone.",
    "api_key.change": "was changed.",
    "api_key.rotate": "has a new secret.",
    "api_key.revoke": "was revoked.",
}
PERIODS = {Budget.Period.DAY.value: "a day", Budget.Period.MONTH.value: "a month"}
FORGOTTEN = "What it was, an erasure took out of the trail."


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs: its name for people, and lines as `("-", old)`, `("+", new)`, `(" ", both)`."""

    title: str
    lines: list[tuple[str, str]]


def title_of(name: str) -> str:
    return TITLES.get(name, name.replace("_", " ").capitalize())


def between(old: Mapping[str, Any], new: Mapping[str, Any], tools: Mapping[str, str]) -> list[Difference]:
    """What differs between two versions' values, in the order of the names; `tools`: names by id."""
    told = []
    for name in (*versions.KEPT, versions.TOOLS):
        before, after = old.get(name), new.get(name)
        if before != after:
            lines = _of_tools(before, after, tools) if name == versions.TOOLS else list(_lines(before, after))
            told.append(Difference(title_of(name), lines))
    return told


def tool_names(agent: Agent, values: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Names by id of the tools that these versions' values have, of those that there still are. One query."""
    wanted = {str(each) for value in values for each in value.get(versions.TOOLS) or ()}
    found = Tool.objects.filter(workspace_id=agent.workspace_id, pk__in=map(UUID, filter(_is_uuid, wanted)))
    return {str(pk): name for pk, name in found.order_by().values_list("pk", "name")}


def people(events: Iterable[AuditEvent]) -> set[str]:
    """Identities of everybody whom events name, `user:…` or `key:…`."""
    wire_ids = {each for event in events for each in _named(event)}
    return {identity for each in wire_ids if (identity := _identity(each)) is not None}


def of_event(event: AuditEvent, names: Mapping[str, str]) -> list[Difference]:
    """What an event tells; `names` of everybody whom it names, by identity."""
    if event.action in OF_API_KEYS:
        key = next((each for each in event.ids if each.startswith("key_")), "")
        return [Difference("API key", [(" ", f"{_name(key, names)} {OF_API_KEYS[event.action]}")])]
    if event.action == "budget.set":
        return [Difference("Budget", _of_budget(event.details))]
    return [
        Difference(title_of(name), list(_of_part(name, event.details[name], names)))
        for name in changes.PARTS
        if name in event.details
    ]


def _of_part(name: str, told: Any, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if name in changes.SECRETS and isinstance(told, str) and told in WHAT_BECAME_OF_KEYS:
        yield " ", WHAT_BECAME_OF_KEYS[told]
    elif name in changes.SWITCHES and isinstance(told, list) and len(told) == 2:
        yield "-", _yes(told[0])
        yield "+", _yes(told[1])
    elif name in changes.LISTS and isinstance(told, dict):
        yield from (("-", _name(str(each), names)) for each in told.get("removed") or ())
        yield from (("+", _name(str(each), names)) for each in told.get("added") or ())
        if more := told.get("more"):
            yield " ", f"… and {more} more"
    else:
        yield " ", FORGOTTEN


def _of_budget(details: Mapping[str, Any]) -> list[tuple[str, str]]:
    before, after = (_limits(each) for each in (details.get("before"), details))
    gone, new = [each for each in before if each not in after], [each for each in after if each not in before]
    lines = [("-", each) for each in gone] + [("+", each) for each in new]
    return lines or [(" ", "It was set as it was." if after else "There was none, and is none.")]


def _limits(told: Any) -> list[str]:
    rows = [(period, told.get(period)) for period in PERIODS] if isinstance(told, dict) else []
    return [line for period, row in rows if isinstance(row, dict) for line in _limit(period, row)]


def _limit(period: str, row: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(tokens := row.get("tokens"), int):
        yield f"{tokens:,} tokens {PERIODS[period]}"
    if (cost := row.get("cost")) is not None:
        yield f"{display.in_currency(str(cost))} {PERIODS[period]}"


def _of_tools(old: Any, new: Any, tools: Mapping[str, str]) -> list[tuple[str, str]]:
    before, after = (list(each or ()) for each in (old, new))
    told = [("-", each) for each in before if each not in after] + [("+", each) for each in after if each not in before]
    return [(sign, tools.get(str(each), "a tool that is gone")) for sign, each in told]


def _named(event: AuditEvent) -> Iterator[str]:
    if event.action in OF_API_KEYS:
        yield from (each for each in event.ids if each.startswith("key_"))
    for name in ("allowed_users", "allowed_keys"):
        told = event.details.get(name)
        if isinstance(told, dict):
            yield from (str(each) for way in ("added", "removed") for each in told.get(way) or ())


def _name(wire_id: str, names: Mapping[str, str]) -> str:
    return display.shortened(names.get(_identity(wire_id) or "", wire_id), LONGEST_LINE)


def _identity(wire_id: str) -> str | None:
    for kind in ("user", "key"):
        try:
            return f"{kind}:{ids.decode(kind, wire_id)}"
        except ids.InvalidId:
            continue
    return None


def _yes(value: Any) -> str:
    return "yes" if value else "no"


def _is_uuid(text: str) -> bool:
    try:
        return bool(UUID(text))
    except ValueError:
        return False


def _lines(old: Any, new: Any) -> Iterator[tuple[str, str]]:
    """Line by line, the changed ones and one of those around them."""
    before, after = _spelled(old).splitlines(), _spelled(new).splitlines()
    shown = 0
    for line in difflib.unified_diff(before, after, n=1, lineterm=""):
        if line.startswith(("---", "+++")) and shown < 2:  # the head of a unified diff
            shown += 1
            continue
        if line.startswith("@@"):
            continue
        shown += 1
        if shown > MOST_LINES:
            yield " ", "…"
            return
        yield line[0], display.shortened(line[1:], LONGEST_LINE)


def _spelled(value: Any) -> str:
    if value is None or value == "":
        return "–"
    return value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)
