"""What pydantic-ai read from a service, as our events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from threadhub.agents.events import FinishReason, ToolCall, Usage
from threadhub.agents.provider_errors import ProviderBadResponse
from threadhub.lib import json

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse, ToolCallPart
    from pydantic_ai.models import StreamedResponse

# About 250,000 tokens: more than any model answers, little enough to be kept.
MAX_TEXT = 1024 * 1024
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
HIGH_SURROGATE = ("\ud800", "\udbff")


class AnswerText:
    """Makes pieces of text fit to be stored: NUL and lone surrogates become U+FFFD, as a decoder would do.

    Two halves of one character that arrive in two pieces are joined: the first half waits for the second.
    """

    def __init__(self) -> None:
        self._waiting = ""
        self._length = 0

    def add(self, piece: str) -> str:
        """The text that can be passed on now; may be empty."""
        self._length += len(piece)
        if self._length > MAX_TEXT:
            raise ProviderBadResponse("The model service sent more than an answer can be.")
        text = self._waiting + piece
        self._waiting = ""
        if text and HIGH_SURROGATE[0] <= text[-1] <= HIGH_SURROGATE[1]:
            text, self._waiting = text[:-1], text[-1]
        return _storable(text)

    def end(self) -> str:
        """What still waited."""
        text, self._waiting = self._waiting, ""
        return _storable(text)


def _storable(text: str) -> str:
    if UNSTORABLE.search(text) is None:
        return text
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return joined.replace("\x00", "\ufffd")


def piece_of(event: object) -> str:
    """The answer's text in one event of pydantic-ai; of its reasoning and tool calls, nothing."""
    from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    return ""


def tool_calls(response: ModelResponse) -> list[ToolCall]:
    """The complete calls, in the order of the answer.

    An answer cut short (`length`) may end inside the arguments of one: that call was never made.
    Raises ProviderBadResponse for arguments that are not an object of strict JSON, and for an id used twice.
    """
    calls: list[ToolCall] = []
    for part in response.tool_calls:
        arguments = _arguments(part)
        if arguments is not None:
            name, call_id = _storable(part.tool_name), _storable(part.tool_call_id)
            calls.append(ToolCall(id=call_id, name=name, arguments=arguments))
        elif response.finish_reason != "length":
            raise ProviderBadResponse("The model asked for a tool with arguments that are not strict JSON.")
    if len({call.id for call in calls}) != len(calls):
        raise ProviderBadResponse("The model asked for two tools under one id.")
    return calls


def _arguments(part: ToolCallPart) -> dict[str, Any] | None:
    if isinstance(part.args, str):
        try:
            value = json.loads((part.args.strip() or "{}").encode())
        except ValueError:
            return None
        return value if isinstance(value, dict) else None
    value = part.args or {}
    try:
        json.check_storable(value)
    except ValueError:
        return None
    return dict(value)


def usage(stream: StreamedResponse) -> Usage:
    """The service's own count: 0 and 0 where it gave none."""
    counted = stream.usage
    return Usage(
        input_tokens=max(0, counted.input_tokens),
        output_tokens=max(0, counted.output_tokens),
        cached_tokens=counted.cache_read_tokens or None,
    )


def finish_reason(response: ModelResponse, calls: list[ToolCall]) -> FinishReason:
    """Why the answer ended. Some services say `stop` when they ask for tools: that is `tool_calls` too."""
    match response.finish_reason:
        case "length":
            return "length"
        case "content_filter":
            return "content_filter"
        case "tool_call" if not calls:
            raise ProviderBadResponse("The model said it asked for a tool, but named none.")
        case "error":
            raise ProviderBadResponse()
        case None if not (response.provider_details or {}).get("finish_reason"):
            # The service named no reason at all, not even one we don't know: the stream was cut off.
            raise ProviderBadResponse()
        case _:
            return "tool_calls" if calls else "stop"
