"""Calling a tool, whatever kind it is: its arguments are checked first, and every failure is an output."""

import hashlib
from functools import lru_cache
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings

from threadhub.agents.builtin_tools import BUILTIN_TOOLS, ToolFailed
from threadhub.agents.models import Tool
from threadhub.agents.tools import arguments as schemas
from threadhub.agents.tools.addresses import AllowedTargets
from threadhub.agents.tools.errors import ToolArgumentsInvalid, ToolUnavailable
from threadhub.agents.tools.guard import Guard
from threadhub.agents.tools.http_tool import HttpTool
from threadhub.agents.tools.mcp_tool import McpServer
from threadhub.agents.tools.output import ToolOutput
from threadhub.lib import json, sealed

ANYTHING = {"type": "object"}


def parameters_of(tool: Tool) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments; that of a built-in tool is code."""
    builtin = BUILTIN_TOOLS.get(tool.name) if tool.kind == Tool.Kind.BUILTIN else None
    parameters: dict[str, Any] = builtin.parameters if builtin else tool.parameters or ANYTHING
    return parameters


def description_of(tool: Tool) -> str:
    """What the model is told a tool is for."""
    builtin = BUILTIN_TOOLS.get(tool.name) if tool.kind == Tool.Kind.BUILTIN else None
    return tool.description or (builtin.description if builtin else "")


def digest_of(tool: Tool) -> bytes:
    """SHA-256 of what a tool is: its schema and how it is reached. Not its secrets, which may be renewed."""
    definition = [str(tool.pk), tool.name, tool.kind, parameters_of(tool), tool.config]
    return hashlib.sha256(json.dumps_sorted(definition)).digest()


async def call(*, tool: Tool, arguments: dict[str, Any], call_id: str) -> ToolOutput:
    """Call a tool once. `call_id` must be unique over all runs: a service can tell a repeat by it.

    Raises nothing but cancellation: what goes wrong is an output that the model is shown.
    """
    faults = schemas.check(parameters_of(tool), arguments)
    if faults:
        wrong = ToolArgumentsInvalid("; ".join(map(str, faults)))
        return ToolOutput.failed(wrong, may_have_acted=False)
    match tool.kind:
        case Tool.Kind.HTTP:
            return await http_tool(tool).call(arguments, call_id=call_id, guard=guard())
        case Tool.Kind.MCP:
            name = tool.config.get("tool") or tool.name
            return await mcp_server(tool).call(name, arguments, call_id=call_id, guard=guard())
    return await sync_to_async(_call_builtin)(tool, arguments)


def http_tool(tool: Tool) -> HttpTool:
    """The web service behind a tool, with its secrets. Raises Invalid where it could never be called."""
    return HttpTool(**tool.config, secret_headers=secrets_of(tool))


def mcp_server(tool: Tool) -> McpServer:
    """The MCP server behind a tool, with its secrets. Raises Invalid where it could never be called."""
    config = {name: value for name, value in tool.config.items() if name != "tool"}
    return McpServer(**config, secret_headers=secrets_of(tool))


def secrets_of(tool: Tool) -> dict[str, str]:
    """The secret headers of a tool, for the call alone."""
    if tool.sealed_secrets is None:
        return {}
    secrets: dict[str, str] = json.loads(sealed.unseal(bytes(tool.sealed_secrets)))
    return secrets


@lru_cache(maxsize=4)
def _guard(allowed: str) -> Guard:
    return Guard(allowed=AllowedTargets.parse(allowed))


def guard() -> Guard:
    """What decides which addresses tools may reach: the public ones, and those of TOOL_ALLOWED_NETWORKS."""
    return _guard(settings.TOOL_ALLOWED_NETWORKS)


def _call_builtin(tool: Tool, arguments: dict[str, Any]) -> ToolOutput:
    builtin = BUILTIN_TOOLS.get(tool.name)
    if builtin is None:
        return ToolOutput.failed(ToolUnavailable(), may_have_acted=False)
    try:
        return ToolOutput(builtin.call(arguments))
    except ToolFailed as error:
        return ToolOutput({"error": error.message}, is_error=True, error_code=error.code)
