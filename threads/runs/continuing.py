"""Going on after `requires_action`: a new run takes up the step at which the one before it stopped.

Its stream is one of its own: the calls that it makes are told again there, each followed by its result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from threadhub.agents import calling
from threadhub.agents.events import ToolCall
from threads.models import Message, Run, Thread, ToolApproval
from threads.runs import queue, waiting
from threads.runs.tools import ToolResult, ToolSet, refused

REFUSED = {ToolApproval.Status.REFUSED: "approval_refused", ToolApproval.Status.EXPIRED: "approval_expired"}


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call of the step before that has no result yet, and what was decided of it, where somebody had to."""

    call: ToolCall
    approval: ToolApproval | None


def go_on_if_complete(*, run: Run, thread: Thread, now: datetime) -> Run | None:
    """The run that goes on, once a locked, waiting run has all it waits for; None while something is missing."""
    undecided = ToolApproval.objects.filter(
        workspace_id=run.workspace_id, run_id=run.pk, status=ToolApproval.Status.PENDING
    )
    if undecided.exists() or missing_outputs(run):
        return None
    return _go_on(run, thread, now)


def missing_outputs(run: Run) -> list[str]:
    """The ids of the calls whose outputs the client has not brought yet."""
    wanted = [call["id"] for call in (run.required_action or {}).get("tool_calls", [])]
    answered = _answered(run) if wanted else set()
    return [call_id for call_id in wanted if call_id not in answered]


def open_calls(*, run: Run) -> list[OpenCall]:
    """The calls of the step that this run goes on with which have no result yet, in their order."""
    before = Run.objects.get(pk=run.continues, workspace_id=run.workspace_id) if run.continues else None
    asking = _asking(before) if before is not None else None
    if before is None or asking is None:
        return []
    answered = _answered(before)
    rows = ToolApproval.objects.filter(workspace_id=run.workspace_id, run_id=before.pk)
    approvals = {approval.tool_call_id: approval for approval in rows}
    calls = [ToolCall(call["id"], call["name"], call["arguments"]) for call in asking.tool_calls or []]
    return [OpenCall(call, approvals.get(call.id)) for call in calls if call.id not in answered]


def take(*, opened: Sequence[OpenCall], toolset: ToolSet, now: datetime) -> dict[str, ToolResult]:
    """Take the approvals of calls that are about to be made, for good: no other worker will make them. Inside the
    transaction that tells of the calls.

    What each approval says is checked once more, on the locked row. Returns the calls that may not be made.
    """
    refusals: dict[str, ToolResult] = {}
    for each in opened:
        if toolset.refusal(each.call) is not None:
            continue  # refused like any other; the approval is not used up
        if each.approval is None:
            if toolset.needs_approval(each.call.name):
                refusals[each.call.id] = refused(each.call, "approval_missing")
            continue
        row = ToolApproval.objects.select_for_update().get(pk=each.approval.pk)
        code = _why_not(row, each.call, toolset)
        if code is None:
            row.called_at = now
            row.save(update_fields=["called_at"])
        else:
            refusals[each.call.id] = refused(each.call, code, row.reason)
    return refusals


def _why_not(approval: ToolApproval, call: ToolCall, toolset: ToolSet) -> str | None:
    """The code of the refusal of a call that was asked for approval; None where it is approved as it stands."""
    if approval.status in REFUSED:
        return REFUSED[ToolApproval.Status(approval.status)]
    if approval.status != ToolApproval.Status.APPROVED or approval.called_at is not None:
        return "approval_missing"
    if waiting.digest(approval.arguments) != bytes(approval.arguments_digest):
        return "approval_mismatch"
    if approval.arguments_read != call.arguments or approval.tool_name != call.name:
        return "approval_mismatch"
    tool = toolset.ours[call.name]
    same = tool.pk == approval.tool_id and calling.digest_of(tool) == bytes(approval.tool_digest)
    return None if same else "tool_changed"


def _go_on(run: Run, thread: Thread, now: datetime) -> Run | None:
    agent = thread.agent
    run.waiting = False
    if not agent.active:  # what was decided stays; nobody is asked any more
        run.save(update_fields=["waiting"])
        return None
    following = Run(
        workspace_id=run.workspace_id,
        number=(Run.objects.of_thread(thread).values_list("number", flat=True).first() or 0) + 1,
        thread=thread,
        branch=thread.branch,
        agent=agent,
        user_id=run.user_id,
        session_id=run.session_id,
        provider=agent.provider,
        model=agent.model,
        options=run.options,
        enabled_tools=run.enabled_tools,
        ignored_tools=run.ignored_tools,
        continues=run.id,
        created_at=now,
    )
    following.save()
    queue.take_turn(following, now=now)
    run.continued_by = following.id
    run.save(update_fields=["waiting", "continued_by"])
    return following


def _asking(run: Run) -> Message | None:
    """The message with the calls at which a run stopped."""
    return Message.objects.filter(pk=run.answer_id, workspace_id=run.workspace_id).first()


def _answered(run: Run) -> set[str | None]:
    """The ids of the calls that have a result after the message with which a run stopped."""
    asking = _asking(run)
    if asking is None:
        return set()
    later = Message.objects.filter(
        workspace_id=run.workspace_id, thread_id=run.thread_id, position__gt=asking.position, role=Message.Role.TOOL
    )
    return set(later.values_list("tool_call_id", flat=True))
