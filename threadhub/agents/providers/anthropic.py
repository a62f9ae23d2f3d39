"""Anthropic's models, when the extra is installed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from threadhub.agents.events import ProviderEvent
from threadhub.agents.providers import model_stream
from threadhub.agents.providers.http_client import shared_client
from threadhub.agents.providers.request import ModelRequest
from threadhub.agents.providers.settings import ProviderSettings

if TYPE_CHECKING:
    from pydantic_ai.models.anthropic import AnthropicModel


class AnthropicProvider:
    """Asks Anthropic with the installation's key. Tries once: a run decides about trying again."""

    name = "anthropic"

    def __init__(self, settings: ProviderSettings) -> None:
        self._base_url = settings.anthropic_base_url
        self._api_key = settings.anthropic_api_key

    def stream(self, request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        """See Provider."""
        return model_stream.stream(self._model, request)

    async def _model(self, name: str) -> AnthropicModel:
        await model_stream.load("anthropic", "pydantic_ai.models.anthropic")
        from anthropic import AsyncAnthropic
        from pydantic_ai.models.anthropic import AnthropicModel
        from pydantic_ai.providers.anthropic import AnthropicProvider as VendorsProvider

        client = AsyncAnthropic(
            base_url=self._base_url,
            api_key=self._api_key,
            http_client=await shared_client(),
            max_retries=0,
        )
        return AnthropicModel(name, provider=VendorsProvider(anthropic_client=client))
