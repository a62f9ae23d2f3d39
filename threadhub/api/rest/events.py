"""A run's events as frames of seed 003's stream. Its client is strict: other names, other orders, a `type` that is
not the event's name, or data that is not JSON end it with an error.

Every stored event is encoded by itself, so that a reader may come in anywhere. The `id:` line is the event's number.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from chat_sessions.endings import ChatSessionEnded
from threadhub.api.streaming import Encode
from threadhub.lib import ids, json
from threads.models import Message, Run
from threads.runs import events
from threads.runs.events import StoredEvent

Frame = tuple[str, dict[str, Any]]

DELTA = (
    b"id: %d\nevent: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}\n\n'
)
# The stream has four words for what can go wrong, and the exact code beside. The others are `llm_error`.
ERROR_TYPES = {
    "context_length_exceeded": "context_length_exceeded",
    "provider_timeout": "http_error",
    "provider_bad_response": "http_error",
    "internal_error": "internal_error",
    "worker_lost": "internal_error",
    "worker_stopped": "internal_error",
    "not_taken": "internal_error",
    "not_answered": "internal_error",
    "thread_deleted": "internal_error",
    "time_limit": "internal_error",
    "step_limit": "internal_error",
}


def encoder(run: Run) -> Encode:
    """The function that turns stored events of this run into bytes; b"" for those that this stream has no word for."""
    answer_id = str(run.answer_id)

    def encode(event: StoredEvent) -> bytes:
        if event.type == events.TEXT_DELTA and event.seq > 1:
            return DELTA % (event.seq, event.data["index"], json.dumps(event.data["text"]))
        return plainly(event, answer_id)

    return encode


def plainly(event: StoredEvent, answer_id: str) -> bytes:
    """An event of any type. `encode` has a shorter way for text, as nearly all of them are; a test holds it to this."""
    return b"".join(_bytes(event.seq, *frame) for frame in _frames(event, answer_id))


def session_ended(run: Run) -> Callable[[bool], bytes]:
    """The function that makes the last frames of a stream whose chat session has ended, given whether it had begun.
    They have no number: the run may go on, and they are no events of it."""

    def closing(begun: bool) -> bytes:
        opening = [] if begun else [_message_start({"message_id": str(run.answer_id), "model": ""})]
        error = {"type": "http_error", "message": ChatSessionEnded().message}
        frames = [*opening, ("error", {"error": error}), ("message_stop", {})]
        return b"".join(_unnumbered(*frame) for frame in frames)

    return closing


def _unnumbered(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps_stored({"type": name, **data}))


def _bytes(seq: int, name: str, data: dict[str, Any]) -> bytes:
    return b"id: %d\n" % seq + _unnumbered(name, data)


def _frames(event: StoredEvent, answer_id: str) -> list[Frame]:
    """One frame; none for a stored message that is not the answer; two where the run was gone before it began, since
    a stream must open before anything else."""
    if event.type == events.MESSAGE_STOP:
        # Only where others have a part in it; a client of the seed's takes no notice.
        required = event.data.get("required_action")
        return [("message_stop", {"status": event.data["status"], "required_action": required} if required else {})]
    if event.type == events.MESSAGE_STORED:
        is_answer = event.data["message_id"] == answer_id
        return [("message_id", {"message_id": _message_id(answer_id)})] if is_answer else []
    gone = event.seq == 1 and event.type != events.MESSAGE_START
    opening = [_message_start({"message_id": answer_id, "model": ""})] if gone else []
    return [*opening, _ENCODERS[event.type](event.data)]


def _message_start(data: dict[str, Any]) -> Frame:
    message = {"id": _message_id(data["message_id"]), "role": "assistant", "model": data["model"]}
    return "message_start", {"message": message}


def _block_start(data: dict[str, Any]) -> Frame:
    if data["kind"] == "text":
        by_person = {"author": data["author"]} if "author" in data else {}
        return "content_block_start", {"index": data["index"], "content_block": {"type": "text", **by_person}}
    block = {
        "type": "tool_use",
        "id": data["id"],
        "name": data["name"],
        "tool_type": data["tool_type"],
        "input": data["arguments"],
        "input_schema": data.get("parameters") or {},
    }
    return "content_block_start", {"index": data["index"], "content_block": block}


def _text_delta(data: dict[str, Any]) -> Frame:
    delta = {"type": "text_delta", "text": data["text"]}
    return "content_block_delta", {"index": data["index"], "delta": delta}


def _block_stop(data: dict[str, Any]) -> Frame:
    return "content_block_stop", {"index": data["index"]}


def _tool_result(data: dict[str, Any]) -> Frame:
    content, is_error = data["content"], data["is_error"]
    details = content.get("error") if is_error and isinstance(content, dict) else None
    return "tool_result", {
        "tool_use_id": data["tool_call_id"],
        "tool_type": data["tool_type"],
        "content": content,
        "is_error": is_error,
        "error_details": details,
        "metadata": {},
    }


def _usage(data: dict[str, Any]) -> Frame:
    return "usage", {name: data[name] for name in ("input_tokens", "output_tokens", "cached_tokens")}


def _error(data: dict[str, Any]) -> Frame:
    type = ERROR_TYPES.get(data["code"], "llm_error")
    return "error", {"error": {"type": type, "code": data["code"], "message": data["message"]}}


def _message_id(text: str) -> str:
    return ids.encode(Message.PREFIX, UUID(text))


_ENCODERS = {
    events.MESSAGE_START: _message_start,
    events.BLOCK_START: _block_start,
    events.TEXT_DELTA: _text_delta,
    events.BLOCK_STOP: _block_stop,
    events.TOOL_RESULT: _tool_result,
    events.USAGE: _usage,
    events.ERROR: _error,
}
