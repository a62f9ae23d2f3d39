"""The body that appends a message."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from threadhub.api.rest.inputs.documents import documents, uploads
from threadhub.api.rest.inputs.strict import Strict, Text, title
from threadhub.lib import ids
from threadhub.lib.errors import Invalid
from threads.actions.messages import Draft
from threads.attachments import Upload
from threads.models import Message

KINDS = {
    "text": Message.Kind.TEXT,
    "image": Message.Kind.IMAGE,
    "pdf": Message.Kind.DOCUMENT,
    "document": Message.Kind.DOCUMENT,
}
NAME_CHARACTERS = 200
MAX_TOOL_CALLS = 100


class ToolCallInput(Strict):
    """Seed 003's form; without an `id` the call gets one. `name` is another word for `function`."""

    id = Text(required=False, allow_null=True, max_length=NAME_CHARACTERS)
    function = Text(required=False, allow_null=True, max_length=NAME_CHARACTERS)
    name = Text(required=False, allow_null=True, max_length=NAME_CHARACTERS)
    arguments = serializers.DictField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        function, name = attrs.get("function"), attrs.get("name")
        if not function and not name:
            raise serializers.ValidationError({"function": ["A tool call names its function."]}, code="required")
        if function and name and function != name:
            raise serializers.ValidationError({"name": ["name and function are the same thing, and differ here."]})
        return {
            "id": attrs.get("id") or f"call_{ids.new().hex}",
            "name": function or name,
            "arguments": attrs.get("arguments") or {},
        }


class NewMessage(Strict):
    role = serializers.ChoiceField(choices=Message.Role.values)
    message_type = serializers.ChoiceField(choices=list(KINDS), required=False, allow_null=True)
    content = Text(required=False, allow_null=True, allow_blank=True)
    title = title()
    name = Text(required=False, allow_null=True, max_length=NAME_CHARACTERS)
    tool_calls = ToolCallInput(many=True, required=False, allow_null=True, max_length=MAX_TOOL_CALLS)  # type: ignore[call-arg]
    tool_call_id = Text(required=False, allow_null=True, max_length=NAME_CHARACTERS)
    tool_result = serializers.JSONField(required=False, allow_null=True)
    documents = documents()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for field, role in (("tool_calls", "assistant"), ("tool_result", "tool"), ("tool_call_id", "tool")):
            if attrs.get(field) is not None and attrs["role"] != role:
                raise serializers.ValidationError({field: [f"Only a message of role {role} has {field}."]})
        kind = attrs.get("message_type") or "text"
        said = any(attrs.get(name) is not None for name in ("content", "tool_result"))
        if kind in ("text", "document") and not (said or attrs.get("tool_calls") or attrs.get("documents")):
            raise serializers.ValidationError({"content": ["A message must have something in it."]}, code="required")
        return attrs


def draft(request: Request) -> Draft:
    """The message to append. Raises ValidationError, AttachmentRefused, AttachmentTooLarge."""
    body = NewMessage.parse(request)
    files = uploads(body.pop("documents", None))
    message_type = body.pop("message_type", None)
    body["tool_calls"] = body.get("tool_calls") or None
    return Draft(**body, kind=_kind(message_type, files), uploads=files)


def _kind(message_type: str | None, files: list[Upload]) -> Message.Kind:
    """What the message is; where the client does not say, its files do."""
    if message_type is None:
        if not files:
            return Message.Kind.TEXT
        return Message.Kind.IMAGE if all(file.is_image for file in files) else Message.Kind.DOCUMENT
    images = [file.is_image for file in files]
    pdfs = [file.content_type == "application/pdf" for file in files]
    if files and ((message_type == "image" and not all(images)) or (message_type == "pdf" and not all(pdfs))):
        raise Invalid.at("body", "message_type", msg=f"The documents are not all of type {message_type}.")
    return KINDS[message_type]
