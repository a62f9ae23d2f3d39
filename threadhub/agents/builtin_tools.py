"""Tools that are code of this project. They take no network and no secrets."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from threadhub.lib.errors import DomainError


class ToolFailed(DomainError):
    """The tool could not do it."""

    code = "tool_failed"


@dataclass(frozen=True, slots=True)
class BuiltinTool:
    """A tool's description for the model, its arguments' JSON Schema and what it does."""

    description: str
    parameters: dict[str, Any]
    call: Callable[[dict[str, Any]], dict[str, Any]]


def current_time(arguments: dict[str, Any]) -> dict[str, Any]:
    """`{"zone": "Europe/Madrid"}` → `{"time": ISO 8601 with offset, "zone": …}`; UTC where no zone is named."""
    name = arguments.get("zone") or "UTC"
    try:
        zone = ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ToolFailed(f"There is no time zone named {name!r}.") from error
    return {"time": datetime.now(UTC).astimezone(zone).isoformat(timespec="seconds"), "zone": str(name)}


BUILTIN_TOOLS: dict[str, BuiltinTool] = {
    "current_time": BuiltinTool(
        description="The present date and time, in a time zone of the IANA database.",
        parameters={
            "type": "object",
            "properties": {"zone": {"type": "string", "description": "for example Europe/Madrid"}},
            "additionalProperties": False,
        },
        call=current_time,
    )
}
