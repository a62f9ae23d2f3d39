"""Asking a provider in a test: everything it says, or the error it ends with."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from threadhub.agents.events import Finished, ProviderEvent, TextDelta, ToolCall, Usage
from threadhub.agents.provider_errors import ProviderError
from threadhub.agents.providers import ContextMessage, ModelRequest, Provider, ProviderSettings, get


@dataclass(frozen=True)
class Said:
    """What came before the end, and the error if there was one."""

    events: tuple[ProviderEvent, ...]
    error: ProviderError | None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def pieces(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, TextDelta)]

    @property
    def calls(self) -> list[ToolCall]:
        return [event for event in self.events if isinstance(event, ToolCall)]

    @property
    def code(self) -> str | None:
        return self.error.code if self.error else None

    @property
    def usage(self) -> Usage:
        """The one Usage, which stands before the last event; a stream of another form fails the test."""
        assert self.error is None, self.error
        endings = [event for event in self.events if isinstance(event, Usage | Finished)]
        assert endings == list(self.events[-2:])
        assert isinstance(endings[0], Usage)
        return endings[0]

    @property
    def reason(self) -> str:
        assert self.usage is not None
        last = self.events[-1]
        assert isinstance(last, Finished)
        return last.reason


def user(text: str, **more: Any) -> ContextMessage:
    return ContextMessage("user", text, **more)


def request(*messages: ContextMessage | str, **more: Any) -> ModelRequest:
    """A request with these messages; texts are the user's."""
    context = tuple(user(message) if isinstance(message, str) else message for message in messages)
    return ModelRequest(**{"model": "fake-1", "instructions": None, "messages": context, **more})


def ask(provider: Provider, asked: ModelRequest) -> Said:
    """Read one answer to its end, in an event loop of its own."""
    return asyncio.run(listen(provider, asked))


async def listen(provider: Provider, asked: ModelRequest) -> Said:
    events: list[ProviderEvent] = []
    try:
        async with aclosing(provider.stream(asked)) as stream:
            async for event in stream:
                events.append(event)
    except ProviderError as error:
        return Said(tuple(events), error)
    return Said(tuple(events), None)


def compatible(base_url: str, **more: Any) -> Provider:
    """The provider `openai`, pointed at a compatible server."""
    return get("openai", settings=ProviderSettings(openai_base_url=base_url, **more))


def echo() -> Provider:
    return get("echo", settings=ProviderSettings())


def answered(*texts: str) -> Sequence[ContextMessage]:
    """A thread of questions and answers, in turn, that ends with a question if the number of texts is odd."""
    roles = ("user", "assistant")
    return [ContextMessage(roles[index % 2], text) for index, text in enumerate(texts)]  # type: ignore[arg-type]
