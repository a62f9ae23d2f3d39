"""Asking an agent: the question is stored, the run and its job with it, in one short transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from threadhub.agents import access as agents
from threadhub.workspaces.actor import Actor
from threads import access, tasks
from threads.actions.messages import Draft, store
from threads.models import Run, Thread
from threads.runs import tools
from threads.runs.end import end_if_lost


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
    """A new run, and the ids of the messages stored with it."""

    run: Run
    thread: Thread
    message_ids: list[Any] = field(default_factory=list)


@transaction.atomic
def start(*, actor: Actor, thread: Thread, drafts: Sequence[Draft], now: datetime, wish: Wish | None = None) -> Started:
    """Append the drafts to the thread and queue a run of its agent.

    Raises ThreadNotFound, AgentDisabled, PermissionMissing, ThreadArchived, ThreadRunning.
    """
    wish = wish or Wish()
    agent = agents.get_to_invoke(actor=actor, agent_id=thread.agent_id)
    thread = access.lock(thread=thread)
    for live in Run.objects.of_thread(thread).live():
        if not end_if_lost(run=live, now=now):
            raise access.ThreadRunning
    if not drafts and not thread.message_count:
        raise access.NothingAsked
    messages = store(thread=thread, drafts=drafts)
    run = Run.objects.create(
        workspace_id=thread.workspace_id,
        thread=thread,
        agent=agent,
        user_id=actor.user_id,
        provider=agent.provider,
        model=agent.model,
        options=wish.options(),
        enabled_tools=list(wish.enabled_tools) if wish.enabled_tools is not None else None,
        ignored_tools=tools.ignored(agent=agent, enabled_tools=wish.enabled_tools),
        created_at=now,
        lease_expires_at=now + timedelta(seconds=settings.RUN_QUEUE_SECONDS),
    )
    tasks.execute.configure(lock=str(thread.id)).defer(run_id=str(run.id), workspace_id=str(run.workspace_id))
    return Started(run, thread, [message.id for message in messages])
