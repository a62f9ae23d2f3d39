"""What a client brings of its own: tools that it runs itself, and what they gave."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from threadhub.agents.toolbox import NAME
from threadhub.agents.tools import arguments as schemas
from threadhub.api.rest.inputs.strict import MAX_TOOLS, Strict, Text, Truth
from threadhub.lib import json
from threads.actions.tool_outputs import Output

DESCRIPTION_CHARACTERS = 10_000
OUTPUT_BYTES = 1_000_000
CALL_ID_CHARACTERS = 200


class ClientTool(Strict):
    """A tool that the client runs itself. `parameters`: the JSON Schema of its arguments."""

    name = Text(max_length=64)
    description = Text(required=False, allow_null=True, allow_blank=True, max_length=DESCRIPTION_CHARACTERS)
    parameters = serializers.DictField(required=False, allow_null=True)

    def validate_name(self, name: str) -> str:
        if not NAME.fullmatch(name):
            raise serializers.ValidationError("A tool's name has 1 to 64 letters, digits, _ or -.")
        return name

    def validate_parameters(self, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        faults = schemas.check_schema(parameters) if parameters else []
        if faults:
            raise serializers.ValidationError("; ".join(map(str, faults)))
        return parameters

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        described = {"name": attrs["name"], "description": attrs.get("description") or ""}
        return {**described, "parameters": attrs["parameters"]} if attrs.get("parameters") else described


class ClientTools(serializers.ListField):
    """Tools of the client, each name once."""

    child = ClientTool()

    def to_internal_value(self, data: Any) -> list[Any]:
        tools = super().to_internal_value(data)
        if len({tool["name"] for tool in tools}) != len(tools):
            raise serializers.ValidationError("Two tools have the same name.", code="duplicate")
        return tools


def client_tools() -> ClientTools:
    return ClientTools(
        required=False,
        allow_null=True,
        max_length=MAX_TOOLS,
        help_text="Tools that the client runs itself: the run stops at requires_action when the model asks for one.",
    )


class ToolOutput(Strict):
    """What one call gave: text, or any JSON."""

    tool_call_id = Text(max_length=CALL_ID_CHARACTERS)
    output = serializers.JSONField(allow_null=True)
    is_error = Truth(required=False)

    def validate_output(self, output: Any) -> Any:
        if len(json.dumps(output)) > OUTPUT_BYTES:
            raise serializers.ValidationError(f"An output may have at most {OUTPUT_BYTES} bytes as JSON.")
        return output


class ToolOutputs(Strict):
    """The outputs of all the calls that the run waits for."""

    tool_outputs = ToolOutput(many=True, allow_empty=False, max_length=MAX_TOOLS)  # type: ignore[call-arg]


def parse(request: Request) -> list[Output]:
    """Raises ValidationError."""
    rows = ToolOutputs.parse(request)["tool_outputs"]
    return [Output(row["tool_call_id"], row["output"], row.get("is_error", False)) for row in rows]
