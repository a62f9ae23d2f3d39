"""OpenAI, and every server that speaks its chat completions: vLLM, Ollama, llama.cpp and others."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from threadhub.agents.events import ProviderEvent
from threadhub.agents.providers import model_stream
from threadhub.agents.providers.http_client import shared_client
from threadhub.agents.providers.request import ModelRequest
from threadhub.agents.providers.settings import OPENAI_BASE_URL, ProviderSettings

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel


class OpenAIProvider:
    """Asks `openai_base_url`, with the key if there is one. Tries once: a run decides about trying again."""

    name = "openai"

    def __init__(self, settings: ProviderSettings) -> None:
        self._base_url = settings.openai_base_url or OPENAI_BASE_URL
        self._api_key = settings.openai_api_key

    def stream(self, request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        """See Provider."""
        return model_stream.stream(self._model, request)

    async def _model(self, name: str) -> OpenAIChatModel:
        await model_stream.load("openai", "pydantic_ai.models.openai")
        from openai import AsyncOpenAI

        client = AsyncOpenAI(
            base_url=self._base_url,
            # The library insists on a key; servers that need none ignore it.
            api_key=self._api_key or "none",
            http_client=await shared_client(),
            max_retries=0,
        )
        if urlsplit(self._base_url).hostname == urlsplit(OPENAI_BASE_URL).hostname:
            return _vendors_model(name, client)
        return compatible_model(name, client)


def compatible_model(name: str, client: AsyncOpenAI) -> OpenAIChatModel:
    """A model behind a compatible server: only what all of them understand is sent."""
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    profile = OpenAIModelProfile(
        # A stream that ends without a reason was cut off.
        openai_chat_streaming_requires_finish_reason=True,
        # Many chat templates refuse a second system message, and many servers know only `max_tokens`.
        openai_chat_supports_multiple_system_messages=False,
        openai_chat_supports_max_completion_tokens=False,
    )
    provider = OpenAICompatibleProvider("openai-compatible", openai_client=client)
    return OpenAIChatModel(name, provider=provider, profile=profile)


def _vendors_model(name: str, client: AsyncOpenAI) -> OpenAIChatModel:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai import OpenAIProvider as VendorsProvider

    profile = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
    return OpenAIChatModel(name, provider=VendorsProvider(openai_client=client), profile=profile)
