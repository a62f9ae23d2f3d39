"""What the chat calls take: messages, and how the answer should be made."""

from dataclasses import dataclass
from typing import Any

from django.http import QueryDict
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from threadhub.api.ai.filters import ABSENT
from threadhub.api.ai.inputs import messages
from threadhub.api.ai.inputs.messages import ChatMessage
from threadhub.lib import json
from threadhub.lib.errors import Invalid
from threads.actions.resent import Sent
from threads.runs.start import Wish

MAX_TOKENS = 1_000_000
MAX_STOPS, MAX_STOP_LENGTH = 16, 500
MAX_TOOLS = 128
TOOL_NAME = r"^[a-zA-Z0-9_-]{1,64}$"


class StopField(serializers.ListField):
    """One text or several, as in OpenAI's API."""

    def __init__(self, **options: Any) -> None:
        child = serializers.CharField(trim_whitespace=False, max_length=MAX_STOP_LENGTH)
        super().__init__(child=child, max_length=MAX_STOPS, **options)

    def to_internal_value(self, data: Any) -> list[Any]:
        return super().to_internal_value([data] if isinstance(data, str) else data)


@extend_schema_serializer(component_name="AiClientTool")
class ClientTool(serializers.Serializer[Any]):
    """A tool that the client runs itself. `schema`: the JSON Schema of its arguments."""

    name = serializers.RegexField(TOOL_NAME)
    description = serializers.CharField(required=False, allow_blank=True, allow_null=True)
    schema = serializers.DictField(required=False, allow_null=True)


class Options(serializers.Serializer[Any]):
    """Everything of a chat request but its messages; what is not named here is ignored."""

    temperature = serializers.FloatField(required=False, allow_null=True, min_value=0, max_value=2)
    top_p = serializers.FloatField(required=False, allow_null=True, min_value=0, max_value=1)
    max_tokens = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=MAX_TOKENS)
    stop = StopField(required=False, allow_null=True)
    clientTools = serializers.ListField(child=ClientTool(), required=False, allow_null=True, max_length=MAX_TOOLS)

    def wish(self) -> Wish:
        """What is asked of the run. Call after `is_valid`."""
        asked = self.validated_data
        return Wish(
            temperature=asked.get("temperature"),
            top_p=asked.get("top_p"),
            max_output_tokens=asked.get("max_tokens"),
            stop=asked.get("stop") or (),
            client_tools=[_tool(tool) for tool in asked.get("clientTools") or ()],
        )


class ChatRequest(Options):
    """The body of a chat call."""

    messages = ChatMessage(many=True, allow_empty=False)


class AgentChatRequest(ChatRequest):
    """The body of `POST /api/ai/agents/{id}/chat`."""

    threadId = serializers.CharField(required=False, allow_null=True)


@dataclass(frozen=True, slots=True)
class Asked:
    """A chat request, understood."""

    sent: list[Sent]
    wish: Wish


def parse(body: dict[str, Any]) -> Asked:
    """Raises ValidationError, Invalid, AttachmentRefused, TooLarge."""
    options = Options(data=body)
    options.is_valid(raise_exception=True)
    return Asked(messages.parse(body.get("messages")), options.wish())


def thread_of(body: dict[str, Any]) -> str | None:
    """The thread that `threadId` names, if any."""
    text = body.get("threadId")
    return None if text is None or text in ABSENT else str(text)


def body_of_query(query: QueryDict) -> dict[str, Any]:
    """A chat request that came as a query: `messages` is JSON text there. Raises Invalid."""
    try:
        messages = json.loads(query.get("messages", "").encode())
    except (json.MalformedJSON, json.RefusedJSON, UnicodeEncodeError) as error:
        raise Invalid.at("query", "messages", msg="messages must be a JSON array of messages.") from error
    return {"messages": messages, "threadId": query.get("threadId")}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    """A client's tool in the words of the domain."""
    described = {"name": tool["name"], "description": tool.get("description") or ""}
    return {**described, "parameters": tool["schema"]} if tool.get("schema") else described
