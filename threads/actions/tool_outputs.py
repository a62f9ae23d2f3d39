"""What the client's own tools gave, for a run that waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from threadhub import audit
from threadhub.agents import access as agents
from threadhub.agents import budgets
from threadhub.lib.errors import Conflict, Invalid
from threadhub.workspaces.actor import Actor
from threads import access
from threads.actions.messages import Draft, store
from threads.models import Message, Run, Thread
from threads.runs import continuing


class ActionNotRequired(Conflict):
    """This run does not wait for outputs of tools: they were brought, or the thread went on without them."""

    code = "action_not_required"


@dataclass(frozen=True, slots=True)
class Output:
    """What one call gave: text, or any JSON."""

    tool_call_id: str
    value: Any
    is_error: bool = False


@transaction.atomic
def bring(*, actor: Actor, thread: Thread, run: Run, outputs: Sequence[Output], now: datetime) -> Run:
    """Append the outputs of all the calls that the run waits for. The run that goes on with them; or the waiting run
    itself while somebody has yet to decide on an approval.

    Raises ActionNotRequired, Invalid for outputs that are missing, unknown or there twice, and as `start`: where a
    budget is used up nothing is kept, and the outputs can be brought once there is a new one.
    """
    agent = agents.get_to_invoke(actor=actor, agent_id=thread.agent_id)
    budgets.check(agent=agent, now=now)
    thread = access.lock(thread=thread)
    waiting = Run.objects.of_thread(thread).select_for_update().get(pk=run.pk)
    wanted = continuing.missing_outputs(waiting) if waiting.waiting else []
    if not wanted:
        raise ActionNotRequired
    _check(outputs, wanted)
    names = {call["id"]: call["name"] for call in (waiting.required_action or {})["tool_calls"]}
    store(thread=thread, drafts=[_draft(output, names[output.tool_call_id], waiting) for output in outputs])
    details = {"count": len(outputs)}
    audit.record(actor=actor, action="run.bring_outputs", ids=[run.wire_id, thread.wire_id], details=details)
    return continuing.go_on_if_complete(run=waiting, thread=thread, now=now) or waiting


def _check(outputs: Sequence[Output], wanted: Sequence[str]) -> None:
    faults = []
    seen: set[str] = set()
    for at, output in enumerate(outputs):
        if output.tool_call_id not in wanted:
            faults.append((at, "This run does not wait for a call with that id.", "unknown_tool_call"))
        elif output.tool_call_id in seen:
            faults.append((at, "There is another output of this call.", "duplicate"))
        seen.add(output.tool_call_id)
    rows = [
        {"loc": ["body", "tool_outputs", at, "tool_call_id"], "msg": message, "type": kind}
        for at, message, kind in faults
    ]
    missing = [call_id for call_id in wanted if call_id not in seen]
    if missing:
        message = f"The outputs of all calls come together; missing: {', '.join(missing)}."
        rows.append({"loc": ["body", "tool_outputs"], "msg": message, "type": "missing"})
    if rows:
        raise Invalid("The outputs are not those that the run waits for.", rows)


def _draft(output: Output, name: str, run: Run) -> Draft:
    """A failure is told to the model as those of our own tools are."""
    value = {"error": output.value} if output.is_error else output.value
    if value is None:
        value = "null"
    content = {"content": value} if isinstance(value, str) else {"tool_result": value}
    return Draft(role=Message.Role.TOOL, name=name, tool_call_id=output.tool_call_id, run_id=run.id, **content)
