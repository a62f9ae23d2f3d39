"""Asking a model for the hub's own ends: a summary, a title. What that uses is counted for the agent like an answer."""

from contextlib import aclosing

from django.conf import settings
from django.utils import timezone

from threadhub.agents import context, providers
from threadhub.agents.events import TextDelta, Usage
from threadhub.agents.models import Agent, DailyUsage
from threadhub.agents.provider_errors import ProviderError
from threadhub.agents.providers import ContextMessage, ModelRequest
from threadhub.agents.providers.request import Purpose
from threadhub.agents.usage import Amount, estimated, measured, record
from threadhub.lib.asynchronous import in_thread

LONGEST_TOKEN = 16  # characters; who says more than that per token asked for does not keep to it


async def ask(*, agent: Agent, purpose: Purpose, instructions: str, text: str, max_tokens: int) -> str:
    """What the agent's model says to a text; cut off where it does not end. Raises ProviderError."""
    provider = providers.get(agent.provider, settings=settings.PROVIDERS)
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
    used: Amount | None = None
    try:
        async with aclosing(provider.stream(request)) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    said.append(event.text)
                    length += len(event.text)
                    if length > max_tokens * LONGEST_TOKEN:
                        break
                elif isinstance(event, Usage) and event.counted:
                    used = measured(event, provider=agent.provider, model=agent.model)
    except ProviderError as error:
        if error.usage is not None and error.usage.counted:
            used = measured(error.usage, provider=agent.provider, model=agent.model)
        raise
    finally:
        if used is None and said:  # cut off, or of a service that does not count
            used = estimated(
                input_tokens=context.tokens_of(request), characters=length, provider=agent.provider, model=agent.model
            )
        if used is not None:
            await _count(agent, purpose, used)
    return "".join(said)


async def _count(agent: Agent, purpose: Purpose, amount: Amount) -> None:
    await in_thread(record)(agent=agent, purpose=DailyUsage.Purpose(purpose), amount=amount, now=timezone.now())
