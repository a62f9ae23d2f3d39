"""The tools of a run: the agent's, narrowed by what the request enabled, and the client's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from threadhub.agents import calling
from threadhub.agents.events import ToolCall
from threadhub.agents.models import Agent, Tool
from threadhub.agents.providers.request import ToolSpec
from threads.models import Run

NOT_ENABLED = "The tool {name} is not available in this run."


@dataclass(frozen=True, slots=True)
class ToolSet:
    """What a run may call: tools that run here, and those that the client runs."""

    ours: dict[str, Tool]
    clients: dict[str, dict[str, Any]]

    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as the model is told of them."""
        ours = [
            ToolSpec(tool.name, calling.description_of(tool), calling.parameters_of(tool))
            for tool in self.ours.values()
        ]
        clients = [
            ToolSpec(tool["name"], tool.get("description") or "", tool.get("parameters") or {"type": "object"})
            for tool in self.clients.values()
        ]
        return (*ours, *clients)

    def is_clients(self, call: ToolCall) -> bool:
        return call.name in self.clients

    def type_of(self, name: str) -> str:
        """`builtin`, `http`, `mcp`, `client`, or `unknown` for a tool outside the set."""
        if name in self.clients:
            return "client"
        return self.ours[name].kind if name in self.ours else "unknown"

    def parameters_of(self, name: str) -> dict[str, Any]:
        """The JSON Schema of a tool's arguments; an empty one for a tool outside the set."""
        return next((spec.parameters for spec in self.specs() if spec.name == name), {})


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave. A refusal or failure is a result too: the model is told."""

    call: ToolCall
    content: Any
    is_error: bool


def effective(run: Run) -> ToolSet:
    """The run's tools, from its agent and what the request enabled."""
    tools = list(run.agent.tools.filter(workspace_id=run.workspace_id))
    if run.enabled_tools is not None:
        enabled = set(run.enabled_tools)
        tools = [tool for tool in tools if tool.name in enabled or tool.wire_id in enabled]
    clients = {tool["name"]: tool for tool in run.options.get("client_tools", [])}
    return ToolSet({tool.name: tool for tool in tools if tool.name not in clients}, clients)


def ignored(*, agent: Agent, enabled_tools: Sequence[str] | None) -> list[str]:
    """The enabled names and ids that the agent does not have, in the order asked, each once."""
    if not enabled_tools:
        return []
    known = {text for tool in agent.tools.all() for text in (tool.name, tool.wire_id)}
    return [name for name in dict.fromkeys(enabled_tools) if name not in known]


async def call(tools: ToolSet, wanted: ToolCall, *, run: Run) -> ToolResult:
    """Call one of our tools. A tool outside the set is refused, whatever the model says."""
    tool = tools.ours.get(wanted.name)
    if tool is None:
        return ToolResult(wanted, {"error": NOT_ENABLED.format(name=wanted.name)}, is_error=True)
    output = await calling.call(tool=tool, arguments=wanted.arguments, call_id=f"{run.wire_id}:{wanted.id}")
    return ToolResult(wanted, output.content, is_error=output.is_error)
