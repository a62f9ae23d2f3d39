"""One call of a model through pydantic-ai's direct API, as a stream of our events."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from threadhub.agents.events import Finished, ProviderEvent, TextDelta
from threadhub.agents.provider_errors import ProviderError
from threadhub.agents.providers import model_output
from threadhub.agents.providers.model_errors import provider_errors
from threadhub.agents.providers.model_input import to_messages, to_parameters, to_settings
from threadhub.agents.providers.request import ModelRequest

if TYPE_CHECKING:
    from pydantic_ai.models import Model, StreamedResponse

ModelMaker: TypeAlias = Callable[[str], Awaitable["Model[Any]"]]


async def load(*modules: str) -> None:
    """Import what answers need. It takes seconds the first time, so a thread does it: other runs go on."""
    missing = [module for module in modules if module not in sys.modules]
    for module in missing:
        await asyncio.to_thread(import_module, module)


async def stream(make_model: ModelMaker, request: ModelRequest) -> AsyncGenerator[ProviderEvent, None]:
    """Ask the model of the request's name, and yield what it answers; raises ProviderError.

    Of reasoning nothing is passed on. Tool calls come at the end, when all of them are complete.
    """
    await load("pydantic_ai.direct")
    with provider_errors():
        model = await make_model(request.model)
        text = model_output.AnswerText()
        async with aclosing(_events(model, request)) as events:
            async for event in events:
                if isinstance(event, str):
                    piece = text.add(event)
                    if piece:
                        yield TextDelta(piece)
                else:
                    rest = text.end()
                    if rest:
                        yield TextDelta(rest)
                    for ending in _ending(event):
                        yield ending


async def _events(model: Model[Any], request: ModelRequest) -> AsyncGenerator[str | StreamedResponse, None]:
    """The pieces of the answer's text, then the whole answer.

    The timeout is kept here too, around each wait (never across a `yield`, where it would cut the reader's
    own waits): the HTTP client's does not see a server that sends nothing but comments.
    """
    from pydantic_ai.direct import model_request_stream

    opening = model_request_stream(
        model,
        to_messages(request),
        model_settings=to_settings(request),
        model_request_parameters=to_parameters(request),
    )
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(request.timeout_seconds):
            answer = await stack.enter_async_context(opening)
        events = aiter(answer)
        while True:
            async with asyncio.timeout(request.timeout_seconds):
                event = await anext(events, None)
            if event is None:
                break
            yield model_output.piece_of(event)
        yield answer


def _ending(answer: StreamedResponse) -> list[ProviderEvent]:
    response = answer.get()
    used = model_output.usage(answer)
    try:
        calls = model_output.tool_calls(response)
        finish = model_output.finish_reason(response, calls)
    except ProviderError as error:
        error.usage = used  # what cannot be read was paid for all the same
        raise
    return [*calls, used, Finished(finish)]
