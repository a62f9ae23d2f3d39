"""Messages and tool calls as the `ai` dialect spells them: OpenAI's form, and the keys that the client added."""

from typing import Any

from rest_framework import serializers

from threadhub.api.ai.fields import MomentField
from threadhub.lib import json
from threads.models import Message
from threads.runs.events import PERSON


class ToolCallFunction(serializers.Serializer[Any]):
    name = serializers.CharField()
    arguments = serializers.CharField(help_text="A JSON object, as text.")


class ToolCallObject(serializers.Serializer[Any]):
    id = serializers.CharField()
    type = serializers.ChoiceField(choices=["function"])
    function = ToolCallFunction()


class MessageObject(serializers.Serializer[Message]):
    """`role`, `content`, `timestamp`, what else there is, and further keys as they were sent."""

    role = serializers.ChoiceField(choices=Message.Role.values)
    content = serializers.CharField()
    timestamp = MomentField(source="created_at")
    message_id = serializers.CharField()
    tool_calls = ToolCallObject(many=True, required=False)
    tool_call_id = serializers.CharField(required=False)
    name = serializers.CharField(required=False)
    author = serializers.ChoiceField(
        choices=[PERSON], required=False, help_text="`person` where a member of staff wrote it in the agent's place."
    )

    def to_representation(self, instance: Message) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": instance.role,
            "content": content(instance),
            "timestamp": json.timestamp(instance.created_at),
            "message_id": instance.wire_id,
        }
        if instance.tool_calls:
            message["tool_calls"] = [tool_call(call) for call in instance.tool_calls]
        if instance.tool_call_id:
            message["tool_call_id"] = instance.tool_call_id
        if instance.name:
            message["name"] = instance.name
        if instance.by_person:
            message["author"] = PERSON
        # Last in line, first in rank only for the id: a client that gives its messages ids finds them again.
        extra = instance.extra
        own_id = {"message_id": extra["message_id"]} if isinstance(extra.get("message_id"), str) else {}
        return {**extra, **message, **own_id}


def content(message: Message) -> str:
    """The text of a message; the result of a tool of the agent's as JSON text."""
    if message.content is None and message.tool_result is not None:
        return json.dumps_stored(message.tool_result).decode()
    return message.content or ""


def tool_call(call: dict[str, Any]) -> dict[str, Any]:
    """`{"id", "name", "arguments": object}` in OpenAI's form."""
    function = {"name": call["name"], "arguments": json.dumps_stored(call["arguments"]).decode()}
    return {"id": call["id"], "type": "function", "function": function}
