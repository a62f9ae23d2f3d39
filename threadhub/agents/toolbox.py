"""Making, changing and removing tools."""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from threadhub import audit
from threadhub.agents import access, calling, versions
from threadhub.agents.builtin_tools import BUILTIN_TOOLS
from threadhub.agents.models import Agent, AgentTool, Tool
from threadhub.agents.tools import arguments as schemas
from threadhub.lib import json, sealed
from threadhub.lib.errors import Conflict, Invalid, NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)  # what model services take as a tool's name
FIELDS = frozenset({"name", "description", "kind", "parameters", "config", "approval"})


class ToolNotFound(NotFound):
    """Tool not found."""

    code = "tool_not_found"


class ToolNameTaken(Conflict):
    """This workspace has a tool of that name."""

    code = "tool_name_taken"


def get(*, actor: Actor, tool_id: UUID) -> Tool:
    """One tool that the actor may know of. Raises ToolNotFound."""
    tool = access.visible_tools(actor=actor).filter(pk=tool_id).first()
    if tool is None:
        raise ToolNotFound
    return tool


@transaction.atomic
def create(*, actor: Actor, secret_headers: dict[str, str] | None = None, **fields: Any) -> Tool:
    """A new tool. `config` is that of an HttpTool or McpServer, without its secrets, which are kept sealed.

    Raises Invalid, ToolNameTaken, PermissionMissing.
    """
    actor.require(Permission.AGENT_WRITE)
    tool = Tool(workspace_id=actor.workspace_id, **_known(fields))
    _save(tool, secret_headers)
    _record(actor, "tool.create", tool, fields, secret_headers)
    return tool


@transaction.atomic
def change(*, actor: Actor, tool: Tool, secret_headers: dict[str, str] | None = None, **fields: Any) -> Tool:
    """Change some fields of a tool; `secret_headers` replaces all of them. Raises as `create`."""
    actor.require(Permission.AGENT_WRITE)
    for name, value in _known(fields).items():
        setattr(tool, name, value)
    _save(tool, secret_headers)
    _record(actor, "tool.update", tool, fields, secret_headers)
    return tool


@transaction.atomic
@transaction.atomic
def remove(*, actor: Actor, tool: Tool, now: datetime) -> None:
    """Remove a tool: every agent that has it loses it. Calls in past messages stay."""
    actor.require(Permission.AGENT_WRITE)
    theirs = AgentTool.objects.filter(workspace_id=actor.workspace_id, tool_id=tool.pk).values("agent_id")
    agents = list(
        Agent.objects.filter(workspace_id=actor.workspace_id, pk__in=theirs).order_by("pk").select_for_update()
    )
    Tool.objects.filter(workspace_id=actor.workspace_id, pk=tool.pk).delete()
    for agent in agents:
        versions.note(agent=agent, author=actor.identity, now=now)
    audit.record(actor=actor, action="tool.remove", ids=[tool.wire_id], details={"name": tool.name})


def _record(
    actor: Actor, action: str, tool: Tool, fields: dict[str, Any], secret_headers: dict[str, str] | None
) -> None:
    changed = [*fields, *(["secret_headers"] if secret_headers is not None else [])]
    audit.record(actor=actor, action=action, ids=[tool.wire_id], details={"fields": sorted(changed)})


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    unknown = set(fields) - FIELDS
    if unknown:
        raise TypeError(f"no such field of a tool: {', '.join(sorted(unknown))}")
    return fields


def _save(tool: Tool, secret_headers: dict[str, str] | None) -> None:
    if secret_headers is not None:
        tool.sealed_secrets = sealed.seal(json.dumps(secret_headers)) if secret_headers else None
    _check(tool)
    try:
        with transaction.atomic():
            tool.save()
    except IntegrityError as error:
        raise ToolNameTaken from error
    tool.refresh_from_db(fields=["created_at"])


def _check(tool: Tool) -> None:
    if not NAME.fullmatch(tool.name):
        raise Invalid.at("body", "name", msg="A tool's name has 1 to 64 letters, digits, _ or -.")
    if tool.kind == Tool.Kind.BUILTIN:
        if tool.name not in BUILTIN_TOOLS:
            known = ", ".join(BUILTIN_TOOLS)
            raise Invalid.at("body", "name", msg=f"There is no built-in tool of that name. There are: {known}.")
        return
    faults = schemas.check_schema(tool.parameters or calling.ANYTHING)
    if faults:
        raise Invalid.at("body", "parameters", msg="; ".join(map(str, faults)))
    if tool.kind == Tool.Kind.CLIENT:
        _check_clients(tool)
        return
    try:
        calling.http_tool(tool) if tool.kind == Tool.Kind.HTTP else calling.mcp_server(tool)
    except TypeError as error:
        raise Invalid.at("body", "config", msg="The config has a name that is not known, or no url.") from error
    except Invalid as error:
        rows = [{**row, "loc": ["body", "config", *row["loc"]]} for row in error.errors]
        raise Invalid(error.message, rows) from error


def _check_clients(tool: Tool) -> None:
    """A tool that the client runs is never reached from here, and its client asks its own person."""
    if tool.config or tool.sealed_secrets is not None:
        raise Invalid.at("body", "config", msg="A client's tool is not called from here: it has no config or secrets.")
    if tool.approval != Tool.Approval.NEVER:
        raise Invalid.at("body", "approval", msg="A client's tool needs no approval here: the client runs it.")
