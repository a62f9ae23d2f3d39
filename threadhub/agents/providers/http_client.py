"""The HTTP client of the providers: one for each event loop, so that calls share its connections.

A client cannot outlive its loop, nor can its connections be used from another. So each is held by an async
generator that the loop itself closes when it ends (`shutdown_asyncgens`, which `asyncio.run` calls): no
socket is left behind, and nobody has to remember to close it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from threadhub.agents.provider_errors import ProviderBadResponse

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

# The longest answer there is (128,000 tokens, each in a piece of some 300 bytes) stays below it.
MAX_RESPONSE_BYTES = 64 * 1024 * 1024
CONNECT_SECONDS = 5.0

_Held = tuple["AsyncClient", AsyncGenerator["AsyncClient", None]]
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _Held] = WeakKeyDictionary()


async def shared_client() -> AsyncClient:
    """The client of the running loop, made on first use. Follows no redirects, asks for no compression."""
    loop = asyncio.get_running_loop()
    held = _clients.get(loop)
    if held is None:
        holder = _holding(loop)
        # Making it never waits, so two first calls cannot make two.
        held = _clients[loop] = (await anext(holder), holder)
    return held[0]


async def _holding(loop: asyncio.AbstractEventLoop) -> AsyncGenerator[AsyncClient, None]:
    from httpx2 import Timeout
    from pydantic_ai.models import create_async_httpx2_client

    client = create_async_httpx2_client(timeout=Timeout(600, connect=CONNECT_SECONDS))
    client.headers["Accept-Encoding"] = "identity"
    client.event_hooks["response"].append(_bound)
    try:
        yield client
    finally:
        _clients.pop(loop, None)
        await client.aclose()


async def _bound(response: Response) -> None:
    """Let no response be longer than MAX_RESPONSE_BYTES, whatever the server goes on to send."""
    from httpx2 import AsyncByteStream

    class Bounded(AsyncByteStream):
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        async def __aiter__(self) -> AsyncIterator[bytes]:
            received = 0
            async for chunk in self.stream:
                received += len(chunk)
                if received > MAX_RESPONSE_BYTES:
                    raise ProviderBadResponse("The model service sent more than an answer can be.")
                yield chunk

        async def aclose(self) -> None:
            await self.stream.aclose()

    response.stream = Bounded(response.stream)
