"""Asking a model for the hub's own ends: a summary, a title. What that uses is counted for the agent like an answer."""

from contextlib import aclosing

from django.conf import settings

from threadhub.agents.events import TextDelta
from threadhub.agents.models import Agent, DailyUsage
from threadhub.agents.one_call import call
from threadhub.agents.providers import ContextMessage, ModelRequest
from threadhub.agents.providers.request import Purpose

LONGEST_TOKEN = 16  # characters; who says more than that per token asked for does not keep to it


async def ask(*, agent: Agent, purpose: Purpose, instructions: str, text: str, max_tokens: int) -> str:
    """What the agent's model says to a text; cut off where it does not end. Raises ProviderError."""
    request = ModelRequest(
        model=agent.model,
        instructions=instructions,
        messages=(ContextMessage("user", text),),
        max_output_tokens=max_tokens,
        timeout_seconds=settings.PROVIDER_TIMEOUT_SECONDS,
        purpose=purpose,
    )
    said: list[str] = []
    length = 0
    async with aclosing(call(agent=agent, request=request, purpose=DailyUsage.Purpose(purpose))) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                said.append(event.text)
                length += len(event.text)
                if length > max_tokens * LONGEST_TOKEN:
                    break
    return "".join(said)
