"""The tools of a run: the agent's, narrowed by its chat session and the request, and the client's own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from chat_sessions.models import ChatSession
from threadhub.agents import calling
from threadhub.agents.events import ToolCall
from threadhub.agents.models import Agent, Tool
from threadhub.agents.providers.request import ToolSpec
from threadhub.agents.tools import arguments as schemas
from threadhub.agents.tools.errors import ToolArgumentsInvalid
from threadhub.lib.compiled import Compiled
from threadhub.lib.errors import Invalid
from threads.models import Run, Thread

NOT_ENABLED = "tool_not_enabled"
APPROVAL_UNAVAILABLE = "approval_unavailable"
REFUSALS = {
    NOT_ENABLED: "The tool {name} is not available in this run.",
    APPROVAL_UNAVAILABLE: "The tool {name} needs an approval, which nobody can give outside a thread.",
    "approval_missing": "The tool {name} needs an approval, and none was asked for.",
    "approval_refused": "The call of {name} was refused by a person.",
    "approval_expired": "The call of {name} was not approved in time.",
    "approval_mismatch": "The arguments of {name} are not those that were approved.",
    "tool_changed": "The tool {name} was changed or removed after its approval was asked for.",
}


class ClientToolNameTaken(Invalid):
    """The agent has a tool of that name itself."""

    code = "client_tool_name_taken"


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave. A refusal or failure is a result too: the model is told.

    `code` is that of `REFUSALS` or of `agents/tools/errors.py`; `refused`: the call was not made.
    """

    call: ToolCall
    content: Any
    is_error: bool
    code: str | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class ToolSet:
    """What a run may call: tools that run here, and those that the client runs."""

    ours: dict[str, Tool]
    clients: dict[str, dict[str, Any]]
    approvable: bool = True  # False: nobody could approve anything, since the thread goes with its answer

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

    def type_of(self, name: str) -> str:
        """`builtin`, `http`, `mcp`, `client`, or `unknown` for a tool outside the set."""
        if name in self.clients:
            return "client"
        return self.ours[name].kind if name in self.ours else "unknown"

    def parameters_of(self, name: str) -> dict[str, Any]:
        """The JSON Schema of a tool's arguments; an empty one for a tool outside the set."""
        return next((spec.parameters for spec in self.specs() if spec.name == name), {})

    def needs_approval(self, name: str) -> bool:
        tool = self.ours.get(name)
        return tool is not None and tool.approval == Tool.Approval.ALWAYS

    def refusal(self, call: ToolCall) -> ToolResult | None:
        """Why this call is not made, whatever the model says; None where it may be."""
        if call.name not in self.ours and call.name not in self.clients:
            return refused(call, NOT_ENABLED)
        if self.needs_approval(call.name) and not self.approvable:
            return refused(call, APPROVAL_UNAVAILABLE)
        faults = self._faults(call)
        if not faults:
            return None
        content = {"error": "; ".join(map(str, faults)), "code": ToolArgumentsInvalid.code}
        return ToolResult(call, content, is_error=True, code=ToolArgumentsInvalid.code, refused=True)

    def _faults(self, call: ToolCall) -> Sequence[schemas.Fault]:
        parameters = self.parameters_of(call.name)
        if call.name in self.clients and schemas.check_schema(parameters):
            return ()  # clients of the `ai` dialect may describe their tools in ways that only they can check
        return schemas.check(parameters, call.arguments)


@dataclass(slots=True)
class Step:
    """The calls of one step of the model, by what happens to them."""

    outputs: list[ToolCall] = field(default_factory=list)  # the client must bring them
    approvals: list[tuple[ToolCall, Tool]] = field(default_factory=list)  # a person must approve them
    now: list[ToolCall] = field(default_factory=list)  # made, or refused, at once

    @property
    def waits(self) -> bool:
        return bool(self.outputs or self.approvals)


def sorted_out(toolset: ToolSet, calls: Sequence[ToolCall]) -> Step:
    """What happens to each call. Where one needs an approval, those that could be made at once wait with it: they
    are made when the run goes on."""
    step, later = Step(), []
    for call in calls:
        if toolset.refusal(call) is not None:
            step.now.append(call)
        elif call.name in toolset.clients:
            step.outputs.append(call)
        elif toolset.needs_approval(call.name):
            step.approvals.append((call, toolset.ours[call.name]))
        else:
            later.append(call)
    if not step.approvals:
        step.now = [call for call in calls if call in step.now or call in later]
    return step


@Compiled
def _of_agent(agent_id: UUID, workspace_id: UUID) -> "QuerySet[Tool]":
    return Tool.objects.filter(agents=agent_id, workspace_id=workspace_id)


def effective(run: Run) -> ToolSet:
    """The run's tools as they are at this moment: its agent's, narrowed by its session's and the request's."""
    tools: list[Tool] = _of_agent(agent_id=run.agent_id, workspace_id=run.workspace_id)
    for enabled in (run.enabled_tools, _of_session(run)):
        if enabled is not None:
            tools = [tool for tool in tools if tool.name in enabled or tool.wire_id in enabled]
    clients = {tool.name: _as_clients(tool) for tool in tools if tool.kind == Tool.Kind.CLIENT}
    clients |= {tool["name"]: tool for tool in run.options.get("client_tools", [])}
    ours = {tool.name: tool for tool in tools if tool.name not in clients}
    return ToolSet(ours, clients, approvable=run.thread.state != Thread.State.TEMPORARY)


def check_names(*, agent: Agent, client_tools: Sequence[dict[str, Any]]) -> None:
    """A client's tool must not take the place of one that the agent runs. Raises ClientToolNameTaken."""
    names = [tool["name"] for tool in client_tools]
    if names and agent.tools.filter(name__in=names).exclude(kind=Tool.Kind.CLIENT).exists():
        raise ClientToolNameTaken


def ignored(*, agent: Agent, enabled_tools: Sequence[str] | None) -> list[str]:
    """The enabled names and ids that the agent does not have, in the order asked, each once."""
    if not enabled_tools:
        return []
    known = {text for tool in agent.tools.all() for text in (tool.name, tool.wire_id)}
    return [name for name in dict.fromkeys(enabled_tools) if name not in known]


def refused(call: ToolCall, code: str, reason: str = "") -> ToolResult:
    """The result of a call that is not made; `reason` is what the person who refused it said."""
    sentence = REFUSALS[code].format(name=call.name)
    content = {"error": sentence, "code": code, **({"reason": reason} if reason else {})}
    return ToolResult(call, content, is_error=True, code=code, refused=True)


async def call(tools: ToolSet, wanted: ToolCall, *, run: Run) -> ToolResult:
    """Call one of our tools. A tool outside the set is refused, and so are arguments that do not fit."""
    refusal = tools.refusal(wanted)
    if refusal is not None:
        return refusal
    if wanted.name not in tools.ours:
        return refused(wanted, NOT_ENABLED)
    output = await calling.call(
        tool=tools.ours[wanted.name], arguments=wanted.arguments, call_id=f"{run.wire_id}:{wanted.id}"
    )
    content = output.content
    if output.error_code is not None and isinstance(content, dict):
        content = {**content, "code": output.error_code}
    return ToolResult(wanted, content, is_error=output.is_error, code=output.error_code)


def _of_session(run: Run) -> list[str] | None:
    if run.session_id is None:
        return None
    sessions = ChatSession.objects.filter(pk=run.session_id, workspace_id=run.workspace_id)
    enabled: list[str] | None = sessions.values_list("enabled_tools", flat=True).first()
    return enabled


def _as_clients(tool: Tool) -> dict[str, Any]:
    """A tool record that the client runs, in the form in which a request brings its own."""
    return {"name": tool.name, "description": tool.description, "parameters": calling.parameters_of(tool)}
