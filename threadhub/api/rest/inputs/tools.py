"""Bodies that make or change a tool."""

from typing import Any

from rest_framework import serializers

from threadhub.agents.models import Tool
from threadhub.api.rest.inputs.strict import Metadata, Strict, Text

MAX_HEADERS = 20


class Headers(serializers.DictField):
    """Header names and their values."""

    child = Text(max_length=8_000)

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if len(value) > MAX_HEADERS:
            raise serializers.ValidationError(f"There may be at most {MAX_HEADERS} headers.")
        return value


class ToolChange(Strict):
    """What is sent is changed, the rest stays. `secret_headers` replaces all of them and is never shown again."""

    description = Text(required=False, allow_blank=True, max_length=10_000)
    parameters = serializers.DictField(required=False)
    config = Metadata(required=False)
    approval = serializers.ChoiceField(choices=Tool.Approval.values, required=False)
    secret_headers = Headers(required=False, write_only=True)


class NewTool(ToolChange):
    """`config` of an `http` tool: `url` (may hold `{name}` placeholders), `method`, `headers`, `timeout_seconds`,
    `max_response_bytes`, `max_redirects`. Of an `mcp` tool: `url`, `headers`, `timeout_seconds`, `max_response_bytes`,
    and `tool` where the server calls it by another name. A `client` tool has none: whoever asks the agent runs it."""

    name = Text(max_length=64)
    kind = serializers.ChoiceField(choices=Tool.Kind.values)
