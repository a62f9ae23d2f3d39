"""The events of seed 003's stream and the fields of each, one by one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Check = Callable[[Any], bool]
Fields = Mapping[str, "Check | Fields"]

ERROR_TYPES = ("context_length_exceeded", "llm_error", "http_error", "internal_error")


class ProtocolError(Exception):
    """The stream is not one that seed 003's client would read to its end."""


@dataclass(frozen=True)
class Event:
    """One frame: the name on its `event:` line, the object on its `data:` lines, and its `id:` if any."""

    type: str
    data: Mapping[str, Any]
    id: str | None = None


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def is_text_or_null(value: Any) -> bool:
    return value is None or isinstance(value, str)


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_count_or_null(value: Any) -> bool:
    return value is None or is_count(value)


def is_truth(value: Any) -> bool:
    return isinstance(value, bool)


def is_object(value: Any) -> bool:
    return isinstance(value, dict)


def is_details(value: Any) -> bool:
    return value is None or isinstance(value, (str, dict))


def anything(value: Any) -> bool:
    return True


BLOCKS: Mapping[str, Fields] = {
    "text": {},
    "tool_use": {
        "id": is_name,
        "name": is_name,
        "tool_type": is_text_or_null,
        "input": is_object,
        "input_schema": is_object,
    },
    "guardrail": {"content": is_text},
}

FIELDS: Mapping[str, Fields] = {
    "message_start": {"message": {"id": is_name, "role": lambda role: role == "assistant", "model": is_text}},
    "content_block_start": {"index": is_count, "content_block": {"type": lambda kind: kind in BLOCKS}},
    "content_block_delta": {
        "index": is_count,
        "delta": {"type": lambda kind: kind == "text_delta", "text": is_text},
    },
    "content_block_stop": {"index": is_count},
    "tool_result": {
        "tool_use_id": is_name,
        "tool_type": is_text_or_null,
        "content": anything,
        "is_error": is_truth,
        "error_details": is_details,
        "metadata": is_object,
    },
    "message_id": {"message_id": is_name},
    "usage": {"input_tokens": is_count, "output_tokens": is_count, "cached_tokens": is_count_or_null},
    "error": {"error": {"type": is_name, "message": is_name}},
    "message_stop": {},
}


def check_fields(value: Any, wanted: Fields, where: str) -> None:
    """Every wanted field is there with its type; others are let be. Raises ProtocolError."""
    if not isinstance(value, dict):
        raise ProtocolError(f"{where} is not an object: {value!r}")
    for name, check in wanted.items():
        if name not in value:
            raise ProtocolError(f"{where} has no {name}")
        if isinstance(check, Mapping):
            check_fields(value[name], check, f"{where}.{name}")
        elif not check(value[name]):
            raise ProtocolError(f"{where}.{name} is {value[name]!r}")


def checked(event: Event) -> Mapping[str, Any]:
    """The event's data once its fields are right. Raises ProtocolError."""
    check_fields(event.data, FIELDS[event.type], event.type)
    if event.type == "content_block_start":
        block = event.data["content_block"]
        check_fields(block, BLOCKS[block["type"]], "content_block")
    return event.data
