"""Trying an agent as it would answer if it were saved. It is asked by itself: no thread, no run, nothing is kept but
what the call used. Tools are offered to the model and never called: what it would have called is told."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from threadhub import audit
from threadhub.agents import budgets, calling, context
from threadhub.agents.events import ProviderEvent
from threadhub.agents.models import Agent, DailyUsage, Tool
from threadhub.agents.one_call import call
from threadhub.agents.provider_errors import ProviderTimeout
from threadhub.agents.providers import ContextMessage, ModelRequest
from threadhub.agents.providers.request import ToolSpec
from threadhub.lib.errors import Invalid
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission

MOST_MESSAGES = 100


@dataclass(frozen=True, slots=True)
class Trial:
    """An agent with values that nobody has saved, and what it is asked."""

    agent: Agent
    request: ModelRequest
    saved: bool  # whether there is an agent whose values these would be

    async def events(self) -> AsyncGenerator[ProviderEvent, None]:
        """The answer as it comes, for as long as the agent may take. Raises ProviderError."""
        try:
            async with asyncio.timeout(self.agent.max_seconds):
                purpose = DailyUsage.Purpose.TRIAL
                asking = call(agent=self.agent, request=self.request, purpose=purpose, saved=self.saved)
                async with aclosing(asking) as stream:
                    async for event in stream:
                        yield event
        except TimeoutError as error:
            raise ProviderTimeout("The answer took longer than the agent may take.") from error


def begin(
    *,
    actor: Actor,
    agent: Agent,
    tools: Sequence[Tool],
    said: Sequence[tuple[str, str]],
    now: datetime,
    saved: bool = True,
) -> Trial:
    """`agent` is a saved one with other values, or one that is not `saved` at all: then what it uses counts for the
    workspace and its budgets, and there is no agent that the usage is told of. `said` is (role, text), of user and
    assistant, a question last.

    Raises PermissionMissing, Invalid, BudgetExceeded.
    """
    actor.require(Permission.AGENT_WRITE)
    if not said or len(said) > MOST_MESSAGES or said[-1][0] != "user" or not said[-1][1].strip():
        raise Invalid("A trial ends with a question.")
    if any(role not in ("user", "assistant") for role, _ in said):
        raise Invalid("A trial has questions and answers only.")
    over = budgets.exceeded(agent=agent, now=now)
    if over is not None:
        raise over
    turns = [
        (at, ContextMessage("user" if role == "user" else "assistant", text)) for at, (role, text) in enumerate(said)
    ]
    placed = context.newest_that_fit(reversed(turns), budget=agent.context_budget)
    request = ModelRequest(
        model=agent.model,
        instructions=context.fill_in(agent.instructions, {}) or None,
        messages=tuple(context.paired(message for _, message in placed)),
        tools=tuple(ToolSpec(tool.name, calling.description_of(tool), calling.parameters_of(tool)) for tool in tools),
        temperature=agent.temperature,
        max_output_tokens=agent.max_output_tokens,
        timeout_seconds=settings.PROVIDER_TIMEOUT_SECONDS,
    )
    ids = [agent.wire_id] if saved else []
    audit.record(actor=actor, action="agent.try", ids=ids, details={"model": agent.model})
    return Trial(agent, request, saved)
