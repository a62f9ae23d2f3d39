"""Messages as clients of the `ai` dialect send them: in the form of OpenAI's chat completions, with further keys."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_datetime
from rest_framework import serializers

from threadhub.lib import ids, json
from threadhub.lib.errors import Invalid
from threads import attachments
from threads.actions.messages import Draft
from threads.actions.resent import Sent
from threads.attachments import Upload
from threads.models import Message

KNOWN_KEYS = {"role", "content", "timestamp", "tool_calls", "tool_call_id", "name"}
ROLES = {role.value: role.value for role in Message.Role} | {"developer": Message.Role.SYSTEM.value}
MAX_MESSAGES = 10_000
MAX_CALLS = 128


class ChatMessage(serializers.Serializer[Any]):
    """The documented keys of a message; more are kept as sent."""

    role = serializers.CharField(help_text="user, assistant, tool or system; messages of other roles are ignored.")
    content = serializers.JSONField(required=False, help_text="A string, null, or OpenAI's array of parts.")
    timestamp = serializers.CharField(required=False, allow_null=True, help_text="ISO 8601.")
    tool_calls = serializers.ListField(child=serializers.DictField(), required=False, allow_null=True)
    tool_call_id = serializers.CharField(required=False, allow_null=True)
    name = serializers.CharField(required=False, allow_null=True)


def parse(messages: Any) -> list[Sent]:
    """The messages of a request, those of unknown roles left out. Raises Invalid, AttachmentRefused, TooLarge."""
    if not isinstance(messages, list) or not messages:
        raise Invalid.at("body", "messages", msg="messages must be an array with at least one message.")
    if len(messages) > MAX_MESSAGES:
        raise Invalid.at("body", "messages", msg=f"messages must not be more than {MAX_MESSAGES}.")
    parsed = [_sent(message, ("body", "messages", at)) for at, message in enumerate(messages)]
    return [each for each in parsed if each is not None]


def _sent(message: Any, loc: tuple[str | int, ...]) -> Sent | None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise Invalid.at(*loc, msg="A message must be an object with a role.")
    role = ROLES.get(message["role"])
    if role is None:
        return None
    content, uploads = _content(message.get("content"), (*loc, "content"))
    message_id, extra = _own_id(message)
    draft = Draft(
        role=role,
        content=content,
        kind=_kind(uploads),
        name=_text(message, "name", loc),
        tool_calls=_tool_calls(message.get("tool_calls"), (*loc, "tool_calls")) if role == "assistant" else None,
        tool_call_id=_text(message, "tool_call_id", loc) if role == "tool" else None,
        extra=extra,
        uploads=uploads,
    )
    return Sent(draft, timestamp=_timestamp(message.get("timestamp")), message_id=message_id)


def _content(content: Any, loc: tuple[str | int, ...]) -> tuple[str | None, Sequence[Upload]]:
    """The text of a message and its files: `content` is a string, null, or an array of parts."""
    if content is None or isinstance(content, str):
        return content, ()
    if not isinstance(content, list):
        raise Invalid.at(*loc, msg="content must be a string, null or an array of parts.")
    texts: list[str] = []
    uploads: list[Upload] = []
    for at, part in enumerate(content):
        match part:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "image_url", "image_url": {"url": str(url)}}:
                uploads.append(attachments.from_data_url(url=url, filename=None))
            case {"type": "file", "file": {"file_data": str(url)} as file}:
                uploads.append(attachments.from_data_url(url=url, filename=str(file.get("filename") or "") or None))
            case _:
                raise Invalid.at(*loc, at, msg="A part must be of type text, image_url or file.")
    if len(uploads) > attachments.MAX_PER_MESSAGE:
        raise Invalid.at(*loc, msg=f"A message has at most {attachments.MAX_PER_MESSAGE} files.")
    return "\n".join(texts), uploads


def _kind(uploads: Sequence[Upload]) -> str:
    if not uploads:
        return Message.Kind.TEXT
    return Message.Kind.IMAGE if all(upload.is_image for upload in uploads) else Message.Kind.DOCUMENT


def _own_id(message: dict[str, Any]) -> tuple[UUID | None, dict[str, Any]]:
    """The id, where the message is one that threadhub handed out, and the keys to keep as sent."""
    extra = {key: value for key, value in message.items() if key not in KNOWN_KEYS}
    text = message.get("message_id")
    if not isinstance(text, str):
        return None, extra
    try:
        message_id = ids.decode(Message.PREFIX, text)
    except ids.InvalidId:
        return None, extra
    del extra["message_id"]
    return message_id, extra


def _timestamp(value: Any) -> datetime | None:
    """The moment, UTC where it names no offset; None for what is no time (a client's clock decides nothing)."""
    try:
        moment = parse_datetime(value) if isinstance(value, str) else None
        if moment is None:
            return None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _text(message: dict[str, Any], key: str, loc: tuple[str | int, ...]) -> str | None:
    value = message.get(key)
    if value is not None and not isinstance(value, str):
        raise Invalid.at(*loc, key, msg=f"{key} must be a string.")
    return value or None


def _tool_calls(calls: Any, loc: tuple[str | int, ...]) -> list[dict[str, Any]] | None:
    """OpenAI's tool calls as threadhub keeps them: `[{"id", "name", "arguments": object}]`."""
    if calls in (None, []):
        return None
    if not isinstance(calls, list) or len(calls) > MAX_CALLS:
        raise Invalid.at(*loc, msg=f"tool_calls must be an array of at most {MAX_CALLS} calls.")
    return [_tool_call(call, (*loc, at)) for at, call in enumerate(calls)]


def _tool_call(call: Any, loc: tuple[str | int, ...]) -> dict[str, Any]:
    match call:
        case {"id": str(id), "function": {"name": str(name), **rest}} if id and name:
            return {"id": id, "name": name, "arguments": _arguments(rest.get("arguments"), loc)}
    raise Invalid.at(*loc, msg="A tool call must have an id and a function with a name.")


def _arguments(arguments: Any, loc: tuple[str | int, ...]) -> dict[str, Any]:
    """The object in OpenAI's JSON text."""
    try:
        value = json.loads(arguments.encode()) if isinstance(arguments, str) and arguments.strip() else arguments
    except (json.MalformedJSON, json.RefusedJSON, UnicodeEncodeError) as error:
        raise Invalid.at(*loc, "function", "arguments", msg="arguments must be JSON.") from error
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        raise Invalid.at(*loc, "function", "arguments", msg="arguments must be a JSON object.")
    return value
