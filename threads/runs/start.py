"""Asking an agent: the question is stored, the run and its job with it, in one short transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from threadhub import audit
from threadhub.agents import access as agents
from threadhub.agents import budgets
from threadhub.agents.models import DoubleTexting
from threadhub.workspaces.actor import Actor
from threads import access
from threads.actions import takeover, threads
from threads.actions.messages import Draft, store
from threads.models import Run, Thread
from threads.runs import queue, sql, tools, waiting
from threads.runs.end import end_if_lost, interrupt


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks beyond the thread. `enabled_tools`: names or ids that narrow the agent's tools; None: all.

    `client_tools` are the client's own, `[{"name", "description", "parameters"}]`: the run ends with
    `requires_action` when the model asks for one.
    """

    enabled_tools: Sequence[str] | None = None
    client_tools: Sequence[dict[str, Any]] = ()
    temperature: float | None = None
    top_p: float | None = None
    double_texting: DoubleTexting | None = None  # None: as the agent has it
    max_output_tokens: int | None = None
    stop: Sequence[str] = ()

    def options(self) -> dict[str, Any]:
        """The part that a run keeps as its options; what was not asked is left out."""
        wanted = {
            "client_tools": list(self.client_tools),
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_output_tokens": self.max_output_tokens,
            "stop": list(self.stop),
        }
        return {name: value for name, value in wanted.items() if value not in (None, [])}


@dataclass(frozen=True, slots=True)
class Started:
    """A new run, and the ids that its messages have, or will have when it is their turn."""

    run: Run
    thread: Thread
    message_ids: list[Any] = field(default_factory=list)


@transaction.atomic
def ask(
    *,
    actor: Actor,
    thread_id: UUID,
    drafts: Sequence[Draft],
    now: datetime,
    agent_id: UUID | None = None,
    wish: Wish | None = None,
) -> Started:
    """Ask in a thread that the actor may see, of `agent_id` where it is not None; as `start` otherwise, with one
    reading of the thread: whatever is refused is refused once nobody else writes it."""
    thread = access.get(actor=actor, thread_id=thread_id, agent_id=agent_id, with_agent=False, locked=True)
    return _start(actor, thread, drafts, now, wish or Wish(), locked=True)


@transaction.atomic
def ask_anew(
    *,
    actor: Actor,
    agent_id: UUID,
    drafts: Sequence[Draft],
    now: datetime,
    external_ref: str | None = None,
    wish: Wish | None = None,
) -> Started:
    """Ask an agent in a new thread, with this reference; as `start` otherwise."""
    thread = threads.create(actor=actor, agent_id=agent_id, external_ref=external_ref, now=now)
    return _start(actor, thread, drafts, now, wish or Wish(), locked=False)


@transaction.atomic
def start(*, actor: Actor, thread: Thread, drafts: Sequence[Draft], now: datetime, wish: Wish | None = None) -> Started:
    """Append the drafts to the thread and queue a run of its agent.

    While another run of the thread is live, the double-texting strategy decides: the question is refused, waits for
    its turn, or cancels what is under way. A run that waits for outputs or approvals waits no longer: what it asked
    for stays unanswered.

    Raises ThreadNotFound, AgentDisabled, PermissionMissing, ThreadArchived, ThreadRunning, NothingAsked,
    ClientToolNameTaken, BudgetExceeded.
    """
    return _start(actor, thread, drafts, now, wish or Wish(), locked=False)


def _start(
    actor: Actor, thread: Thread, drafts: Sequence[Draft], now: datetime, wish: Wish, *, locked: bool
) -> Started:
    agent = agents.get_to_invoke(actor=actor, agent_id=thread.agent_id)
    tools.check_names(agent=agent, client_tools=wish.client_tools)
    if not locked:
        thread = access.lock(thread=thread, with_agent=False)
    elif thread.state == Thread.State.ARCHIVED:
        raise access.ThreadArchived
    thread.agent = agent
    if not thread.taken_over:
        budgets.check(agent=agent, now=now)
    if not drafts and not thread.message_count:
        raise access.NothingAsked
    number, any_live, any_waiting = sql.standing(thread_id=thread.pk, workspace_id=thread.workspace_id)
    if any_waiting:
        _abandon(actor, thread, now)
    strategy = wish.double_texting or DoubleTexting(agent.double_texting)
    waits = any_live and not thread.taken_over and _must_wait(actor, thread, strategy, now)
    run = Run(
        workspace_id=thread.workspace_id,
        number=number + 1,
        thread=thread,
        branch=thread.branch,
        agent=agent,
        user_id=actor.user_id,
        session_id=actor.session_id,
        provider=agent.provider,
        model=agent.model,
        options=wish.options(),
        enabled_tools=list(wish.enabled_tools) if wish.enabled_tools is not None else None,
        ignored_tools=tools.ignored(agent=agent, enabled_tools=wish.enabled_tools),
        created_at=now,
    )
    if waits:
        queue.wait_for_turn(run, drafts)
    else:
        store(thread=thread, drafts=drafts)
        run.lease_expires_at = None if thread.taken_over else queue.taken_by(now)
    run.save()
    if thread.taken_over:
        takeover.keep_newest(thread=thread, now=now)
    elif not waits:
        queue.hand_over(run)
    audit.record(actor=actor, action="run.start", ids=[run.wire_id, thread.wire_id])
    return Started(run, thread, [draft.id for draft in drafts])


def make_idle(*, actor: Actor, thread: Thread, interrupting: bool, now: datetime) -> None:
    """End what is being answered in a locked thread, so that another branch can become active: no question can wait
    for its turn on a branch that is left, and no run for outputs or approvals. Raises ThreadRunning where it may not be
    interrupted."""
    _abandon(actor, thread, now)
    _must_wait(actor, thread, DoubleTexting.INTERRUPT if interrupting else DoubleTexting.REJECT, now)


def _abandon(actor: Actor, thread: Thread, now: datetime) -> None:
    """What runs of a locked thread wait for is waited for no longer, by what `actor` does instead."""
    for run in waiting.abandon(thread=thread, now=now):
        audit.record(actor=actor, action="run.interrupt", ids=[run.wire_id])


def _may_be_lost(run: Run, now: datetime) -> bool:
    return run.lease_expires_at is not None and run.lease_expires_at < now


def _must_wait(actor: Actor, thread: Thread, strategy: DoubleTexting, now: datetime) -> bool:
    """Whether a new run of a locked thread has to wait for others. Raises ThreadRunning where it may not wait."""
    # One query however many wait, and without their input, which may hold files: all others wait for our lock.
    found = Run.objects.of_thread(thread).live().only("thread_id", "lease_expires_at")
    live = [run for run in found if not (_may_be_lost(run, now) and end_if_lost(run=run, now=now))]
    if not live or strategy == DoubleTexting.ENQUEUE:
        return bool(live)
    if strategy == DoubleTexting.REJECT:
        raise access.ThreadRunning
    for run in reversed(live):  # oldest first: their questions stay in the order of asking
        interrupt(actor=actor, run=run, now=now)
    return False
