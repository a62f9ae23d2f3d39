"""A strict reader of seed 003's event stream: it refuses what that vendor's client refuses, and wrong orders.

Frames are `event: NAME`, `data: JSON`, a blank line; comments and `id:` lines may stand anywhere. Order:
`message_start`, then blocks one after the other (`content_block_start`, for text any `content_block_delta`,
`content_block_stop`; after a `tool_use` block its `tool_result`), `message_id`, `usage`, `message_stop`.
An `error` is followed by `message_stop` and nothing else; only then may a block stay open.
"""

import codecs
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tests.clients.plai_events import ERROR_TYPES, FIELDS, Event, ProtocolError, checked


@dataclass
class Block:
    """One content block: text (grown by deltas), a tool use, or a guardrail's text."""

    index: int
    type: str
    start: Mapping[str, Any]
    text: str = ""
    is_open: bool = True


@dataclass
class Answer:
    """What a client knows once the stream has ended."""

    message: Mapping[str, Any] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)
    tool_results: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    message_id: str | None = None
    usage: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    events: list[Event] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text blocks, one after the other."""
        return "".join(block.text for block in self.blocks if block.type == "text")

    @property
    def names(self) -> list[str]:
        """The event names in their order, runs of deltas as one."""
        names = [event.type for event in self.events]
        return [
            name
            for at, name in enumerate(names)
            if name != "content_block_delta" or names[at - 1] != "content_block_delta"
        ]


class Frames:
    """Bytes to frames. Knows lines, not what the events mean."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._rest = ""

    def feed(self, data: bytes) -> Iterable[Event]:
        """The events of the frames that `data` completes. A frame of comments only is none."""
        try:
            self._rest += self._decoder.decode(data)
        except UnicodeDecodeError as error:
            raise ProtocolError(f"not UTF-8: {error}") from error
        # A carriage return at the very end may be half of a line end.
        whole = self._rest[:-1] if self._rest.endswith("\r") else self._rest
        *frames, rest = whole.replace("\r\n", "\n").split("\n\n")
        self._rest = rest + self._rest[len(whole) :]
        for frame in frames:
            event = self._frame(frame.lstrip("\n"))
            if event is not None:
                yield event

    def close(self) -> None:
        """The stream has ended: nothing may be left over. Raises ProtocolError."""
        if self._rest.strip("\r\n") or self._decoder.getstate()[0]:
            raise ProtocolError(f"ended inside a frame: {self._rest!r}")

    def _frame(self, frame: str) -> Event | None:
        found: dict[str, list[str]] = {"event": [], "data": [], "id": [], "retry": []}
        for line in frame.split("\n"):
            name, _, value = line.partition(":")
            if "\r" in line:
                raise ProtocolError(f"bare carriage return in {line!r}")
            if line.startswith(":"):
                continue
            if name not in found:
                raise ProtocolError(f"unknown field in {line!r}")
            found[name].append(value.removeprefix(" "))
        if not found["data"] and not found["event"]:
            return None
        if len(found["event"]) != 1:
            raise ProtocolError(f"{len(found['event'])} event names in one frame: {frame!r}")
        event_id = found["id"][-1] if found["id"] else None
        return Event(found["event"][0], self._json("\n".join(found["data"])), event_id)

    @staticmethod
    def _json(text: str) -> dict[str, Any]:
        def refuse(constant: str) -> NoReturn:
            raise ProtocolError(f"{constant} is not JSON")

        try:
            value = json.loads(text, parse_constant=refuse)
        except json.JSONDecodeError as error:
            raise ProtocolError(f"data is not JSON: {text!r}") from error
        if not isinstance(value, dict):
            raise ProtocolError(f"data is not a JSON object: {text!r}")
        return value


class StrictReader:
    """Feed it bytes as they come; `close()` gives the answer. Every fault is a ProtocolError."""

    def __init__(self) -> None:
        self.answer = Answer()
        self._frames = Frames()
        self._has_started = False
        self._has_stopped = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes, each checked against all before it."""
        events = list(self._frames.feed(data))
        for event in events:
            self._take(event)
            self.answer.events.append(event)
        return events

    def close(self) -> Answer:
        """The whole answer. Raises ProtocolError when the stream ended early."""
        self._frames.close()
        if not self._has_stopped:
            raise ProtocolError("ended without message_stop")
        return self.answer

    def _take(self, event: Event) -> None:
        if event.type not in FIELDS:
            raise ProtocolError(f"unknown event type {event.type!r}")
        if event.data.get("type") != event.type:
            raise ProtocolError(f"event {event.type!r} carries the type {event.data.get('type')!r}")
        if self._has_stopped:
            raise ProtocolError(f"{event.type} after message_stop")
        if self._has_started == (event.type == "message_start"):
            raise ProtocolError(f"{event.type} {'again' if self._has_started else 'before message_start'}")
        if self.answer.error is not None and event.type != "message_stop":
            raise ProtocolError(f"{event.type} after an error")
        take: Callable[[Mapping[str, Any]], None] = getattr(self, f"_{event.type}")
        take(checked(event))

    def _message_start(self, data: Mapping[str, Any]) -> None:
        self._has_started = True
        self.answer.message = data["message"]

    def _content_block_start(self, data: Mapping[str, Any]) -> None:
        self._refuse_after_the_end(data)
        if self._open_block is not None:
            raise ProtocolError(f"block {data['index']} starts inside block {self._open_block.index}")
        if data["index"] != len(self.answer.blocks):
            raise ProtocolError(f"block {data['index']} where {len(self.answer.blocks)} comes next")
        start = data["content_block"]
        if start["type"] == "tool_use" and self._tool_use(start["id"]) is not None:
            raise ProtocolError(f"tool use {start['id']} twice")
        self.answer.blocks.append(Block(data["index"], start["type"], start))

    def _content_block_delta(self, data: Mapping[str, Any]) -> None:
        block = self._opened(data)
        if block.type != "text":
            raise ProtocolError(f"text delta in the {block.type} block {block.index}")
        block.text += data["delta"]["text"]

    def _content_block_stop(self, data: Mapping[str, Any]) -> None:
        self._opened(data).is_open = False

    def _tool_result(self, data: Mapping[str, Any]) -> None:
        self._refuse_after_the_end(data)
        block = self._tool_use(data["tool_use_id"])
        if block is None:
            raise ProtocolError(f"result of {data['tool_use_id']}, which no block asked for")
        if block.is_open:
            raise ProtocolError(f"result of {data['tool_use_id']} before its block stopped")
        if data["tool_use_id"] in self.answer.tool_results:
            raise ProtocolError(f"second result of {data['tool_use_id']}")
        self.answer.tool_results[data["tool_use_id"]] = data

    def _message_id(self, data: Mapping[str, Any]) -> None:
        self._refuse_after_the_end(data)
        self._refuse_open_block(data)
        self.answer.message_id = data["message_id"]

    def _usage(self, data: Mapping[str, Any]) -> None:
        if self.answer.usage is not None:
            raise ProtocolError("usage twice")
        self._refuse_open_block(data)
        self.answer.usage = data

    def _error(self, data: Mapping[str, Any]) -> None:
        if data["error"]["type"] not in ERROR_TYPES:
            raise ProtocolError(f"unknown error type {data['error']['type']!r}")
        self.answer.error = data["error"]

    def _message_stop(self, data: Mapping[str, Any]) -> None:
        if self.answer.error is None:
            self._refuse_open_block(data)
        self._has_stopped = True

    @property
    def _open_block(self) -> Block | None:
        return next((block for block in self.answer.blocks if block.is_open), None)

    def _opened(self, data: Mapping[str, Any]) -> Block:
        block = self._open_block
        if block is None or block.index != data["index"]:
            raise ProtocolError(f"{data['type']} for block {data['index']}, which is not open")
        return block

    def _tool_use(self, tool_use_id: str) -> Block | None:
        uses = (block for block in self.answer.blocks if block.type == "tool_use")
        return next((block for block in uses if block.start["id"] == tool_use_id), None)

    def _refuse_open_block(self, data: Mapping[str, Any]) -> None:
        if self._open_block is not None:
            raise ProtocolError(f"{data['type']} while block {self._open_block.index} is open")

    def _refuse_after_the_end(self, data: Mapping[str, Any]) -> None:
        if self.answer.message_id is not None or self.answer.usage is not None:
            raise ProtocolError(f"{data['type']} after message_id or usage")


def read(chunks: Iterable[bytes]) -> Answer:
    """A whole stream at once."""
    reader = StrictReader()
    for chunk in chunks:
        reader.feed(chunk)
    return reader.close()
