"""The database's side of an answer: a run is taken, its steps are stored, it is concluded. Each is one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from threadhub.agents import budgets
from threadhub.agents.events import ToolCall
from threadhub.lib import ids
from threadhub.lib.compiled import Compiled
from threads import tasks, titles
from threads.actions.messages import Draft, store
from threads.models import Message, Run
from threads.runs import continuing, events, queue, sql, waiting
from threads.runs.context import Built
from threads.runs.continuing import OpenCall
from threads.runs.end import WORKER_LOST, Pending, may_start_over, refuse, save, start_over, stored
from threads.runs.recorder import RunOver
from threads.runs.spending import SPENT_FIELDS, Spent, tokens_of
from threads.runs.tools import ToolResult, ToolSet
from threads.runs.waiting import Awaited


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended by its own doing."""

    status: Run.Status
    finish_reason: str = ""
    error: tuple[str, str] | None = None
    drafts: Sequence[Draft] = field(default_factory=tuple)
    awaited: Awaited | None = None  # with `requires_action`
    outgrown: bool = False  # the thread fills the agent's budget: its older messages should be summarized


@Compiled
def _queued(run_id: UUID, workspace_id: UUID) -> "QuerySet[Run]":
    """A run whose turn it is, unless a person answers in its thread. Both are locked in everybody's order."""
    whose_turn = Run.objects.filter(status=Run.Status.QUEUED, lease_expires_at__isnull=False)
    whose_turn = whose_turn.filter(thread__taken_over_at__isnull=True)
    runs = whose_turn.filter(pk=run_id, workspace_id=workspace_id).select_related("agent", "thread")
    runs = runs.annotate(budgeted=budgets.over(agent="agent_id"))
    return runs.select_for_update(of=("thread", "self")).order_by()


@transaction.atomic
def claim(*, run_id: UUID, workspace_id: UUID, now: datetime) -> Run | None:
    """Take a queued run whose turn it is: one worker gets it. None: not to be had any more, or not yet."""
    run: Run | None = next(iter(_queued(run_id=run_id, workspace_id=workspace_id)), None)
    if run is None:
        return None
    over = budgets.exceeded(agent=run.agent, now=now) if run.budgeted else None  # type: ignore[attr-defined]
    if over is not None:  # used up while it waited
        refuse(run, error=(over.code, over.message), now=now)
        return None
    queue.store_input(run)
    run.status = Run.Status.RUNNING
    run.started_at = now
    run.attempt += 1
    save(run, [], lease_seconds=settings.RUN_LEASE_SECONDS)
    return run


def note_context(*, run: Run, built: Built) -> None:
    """Keep what the model is given."""
    sql.note_context(run_id=run.pk, workspace_id=run.workspace_id, context=built.record())


@transaction.atomic
def hand_back(*, run: Run, now: datetime) -> bool:
    """Queue a run again whose worker is being stopped, if nothing of it was shown. True when it is out of our hands."""
    try:
        locked = _lock(run)
    except RunOver:
        return True
    if not may_start_over(locked):
        return False
    start_over(locked, now=now)
    return True


@transaction.atomic
def store_calls(*, run: Run, pending: Pending, calling: Draft, spent: Spent, now: datetime) -> None:
    """Keep a step's message with its tool calls, before any of them is made. Raises RunOver."""
    locked = _lock(run)
    (message,) = store(thread=locked.thread, drafts=[calling])
    spent.put_on(locked)
    save(locked, [*pending, (events.MESSAGE_STORED, stored(message))])
    spent.record(run, now=now)


@transaction.atomic
def take_calls(
    *, run: Run, pending: Pending, opened: Sequence[OpenCall], toolset: ToolSet, now: datetime
) -> dict[str, ToolResult]:
    """Tell of the calls that a run goes on with, and take their approvals, before any of them is made: from here on no
    worker will make them again. Returns those that may not be made. Raises RunOver."""
    locked = _lock(run)
    refusals = continuing.take(opened=opened, toolset=toolset, now=now)
    save(locked, pending)
    return refusals


def note_refusals(*, run: Run, refused: list[dict[str, Any]]) -> None:
    """Keep which calls of the model were not made."""
    Run.objects.filter(pk=run.pk, workspace_id=run.workspace_id).update(refused_tools=refused)


@transaction.atomic
def store_results(*, run: Run, pending: Pending, results: Sequence[ToolResult]) -> None:
    """Keep what a step's tools gave. Raises RunOver."""
    locked = _lock(run)
    drafts = [result_draft(run, result) for result in results]
    messages = store(thread=locked.thread, drafts=drafts)
    save(locked, [*pending, *((events.MESSAGE_STORED, stored(message)) for message in messages)])


@transaction.atomic
def conclude(*, run: Run, pending: Pending, outcome: Outcome, spent: Spent, now: datetime) -> None:
    """The final message, the usage and the status, together. Raises RunOver when somebody else ended the run."""
    locked = _lock(run)
    messages = store(thread=locked.thread, drafts=outcome.drafts)
    closing = [*pending, *((events.MESSAGE_STORED, stored(message)) for message in messages)]
    spent.put_on(locked)
    closing.append((events.USAGE, tokens_of(locked)))
    if outcome.error is not None:
        closing.append((events.ERROR, {"code": outcome.error[0], "message": outcome.error[1]}))
    stop: dict[str, Any] = {"status": outcome.status.value, "finish_reason": outcome.finish_reason}
    if outcome.awaited is not None:
        stop["required_action"] = waiting.begin(locked, outcome.awaited, now=now)
    closing.append((events.MESSAGE_STOP, stop))
    locked.status = outcome.status
    locked.finish_reason = outcome.finish_reason
    locked.error_code, locked.error_message = outcome.error or ("", "")
    locked.finished_at = now
    save(locked, closing)
    if queue.call_next(thread=locked.thread, now=now) is not None:
        waiting.abandon(thread=locked.thread, now=now)  # a newer question is there already
    if outcome.outgrown:
        summarizing = tasks.summarize.configure(lock=f"summarize:{locked.thread_id}")
        summarizing.defer(thread_id=str(locked.thread_id), workspace_id=str(locked.workspace_id))
    titles.request_after(locked, thread=locked.thread, agent=run.agent)
    spent.record(run, now=now)


@transaction.atomic
def note_late(*, run: Run, spent: Spent, now: datetime) -> None:
    """Count what a provider reported for a run that somebody else has ended, or whose thread is gone; not where the run
    was taken for lost while its model spoke, since that is counted by an estimate already."""
    if not spent.unrecorded:
        return
    locked = Run.objects.select_for_update().filter(pk=run.pk, workspace_id=run.workspace_id).first()
    if locked is not None and locked.error_code == WORKER_LOST[0] and locked.estimated:
        return
    if locked is not None:
        spent.put_on(locked)
        locked.save(update_fields=SPENT_FIELDS)
    spent.record(run, now=now)


def calling_draft(
    run: Run, text: str, calls: Sequence[ToolCall], id: UUID | None = None, usage: dict[str, Any] | None = None
) -> Draft:
    """The assistant's message that asks for tools."""
    return Draft(
        id=id or ids.new(),
        role=Message.Role.ASSISTANT,
        content=text,
        tool_calls=[{"id": call.id, "name": call.name, "arguments": call.arguments} for call in calls],
        run_id=run.id,
        usage=usage,
    )


def result_draft(run: Run, result: ToolResult) -> Draft:
    """The message that holds what a tool gave."""
    return Draft(
        role=Message.Role.TOOL,
        name=result.call.name,
        tool_call_id=result.call.id,
        tool_result=result.content,
        run_id=run.id,
    )


def _lock(run: Run) -> Run:
    found = _running(run_id=run.id, workspace_id=run.workspace_id)
    if not found:
        raise RunOver
    locked: Run = found[0]
    return locked


@Compiled
def _running(run_id: UUID, workspace_id: UUID) -> QuerySet[Run]:
    """A run that is being answered, and its thread: locked in everybody's order, thread first, then run."""
    runs = Run.objects.filter(pk=run_id, workspace_id=workspace_id, status=Run.Status.RUNNING)
    return runs.select_related("thread").select_for_update(of=("thread", "self")).order_by()
