"""What a provider says while it answers: typed events, in the order of the answer.

A stream is any number of TextDelta and ToolCall, then exactly one Usage, then exactly one Finished. A stream
that ends otherwise has raised a ProviderError. How an event is spelled on the wire is the business of each
dialect alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer's text; never empty, and free of NUL and lone surrogates."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One complete request for a tool; `arguments` is the object of strict JSON that the model wrote."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens by the provider's own count; `cached_tokens` are those of the input read from its cache."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int | None = None

    @property
    def counted(self) -> bool:
        """False where the service reported nothing: no call takes 0 tokens."""
        return self.input_tokens > 0 or self.output_tokens > 0


@dataclass(frozen=True, slots=True)
class Finished:
    """Why the model stopped."""

    reason: FinishReason


ProviderEvent: TypeAlias = TextDelta | ToolCall | Usage | Finished
