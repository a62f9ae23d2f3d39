"""One call of a model outside a run, and what it used: the service's own numbers, or an estimate where it gave none."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from django.conf import settings
from django.utils import timezone

from threadhub.agents import context, providers
from threadhub.agents.events import ProviderEvent, TextDelta, ToolCall, Usage
from threadhub.agents.models import Agent, DailyUsage
from threadhub.agents.provider_errors import ProviderError
from threadhub.agents.providers import ModelRequest
from threadhub.agents.usage import Amount, estimated, measured, record
from threadhub.isolation import scope
from threadhub.lib.asynchronous import in_thread


async def call(
    *, agent: Agent, request: ModelRequest, purpose: DailyUsage.Purpose, saved: bool = True
) -> AsyncGenerator[ProviderEvent, None]:
    """The events of the answer. Counted for the agent when it ends, however it ends; for its workspace alone where the
    agent is not `saved`. Raises ProviderError."""
    characters = 0
    used: Amount | None = None
    try:
        provider = providers.get(agent.provider, settings=settings.PROVIDERS)
        async with aclosing(provider.stream(request)) as stream:
            async for event in stream:
                match event:
                    case TextDelta(text):
                        characters += len(text)
                    case ToolCall(_, name, arguments):
                        characters += len(name) + len(str(arguments))
                    case Usage() if event.counted:
                        used = measured(event, provider=agent.provider, model=agent.model)
                yield event
    except ProviderError as error:
        if error.usage is not None and error.usage.counted:
            used = measured(error.usage, provider=agent.provider, model=agent.model)
        raise
    finally:
        if used is None and characters:
            used = estimated(
                input_tokens=context.tokens_of(request),
                characters=characters,
                provider=agent.provider,
                model=agent.model,
            )
        if used is not None:
            with scope.within(agent.workspace_id):
                await in_thread(record)(agent=agent, purpose=purpose, amount=used, now=timezone.now(), saved=saved)
