from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from threadhub.agents.builtin_tools import BUILTIN_TOOLS
from threadhub.agents.models import Agent, DoubleTexting, Tool
from threadhub.api.rest.representations.fields import WireId, moment


class ToolRepresentation(serializers.Serializer[Any]):
    id = WireId(Tool.PREFIX)
    name = serializers.CharField(read_only=True)
    description = serializers.SerializerMethodField()
    kind = serializers.ChoiceField(choices=Tool.Kind.values, read_only=True)
    parameters = serializers.SerializerMethodField(help_text="JSON Schema of the arguments.")

    def get_description(self, tool: Tool) -> str:
        builtin = BUILTIN_TOOLS.get(tool.name)
        return tool.description or (builtin.description if builtin else "")

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_parameters(self, tool: Tool) -> dict[str, Any]:
        builtin = BUILTIN_TOOLS.get(tool.name)
        parameters: dict[str, Any] = builtin.parameters if builtin else tool.parameters
        return parameters


class AgentRepresentation(serializers.Serializer[Any]):
    id = WireId(Agent.PREFIX)
    name = serializers.CharField(read_only=True)
    description = serializers.CharField(read_only=True)
    provider = serializers.ChoiceField(choices=Agent.Provider.values, read_only=True)
    model = serializers.CharField(read_only=True)
    instructions = serializers.CharField(read_only=True)
    temperature = serializers.FloatField(read_only=True, allow_null=True)
    max_output_tokens = serializers.IntegerField(read_only=True, allow_null=True)
    context_budget = serializers.IntegerField(read_only=True)
    max_steps = serializers.IntegerField(read_only=True)
    max_seconds = serializers.IntegerField(read_only=True)
    double_texting = serializers.ChoiceField(choices=DoubleTexting.values, read_only=True)
    active = serializers.BooleanField(read_only=True)
    metadata = serializers.DictField(read_only=True)
    tools = ToolRepresentation(many=True, read_only=True)
    created_at = moment()
    updated_at = moment()


class SessionAgentRepresentation(serializers.Serializer[Any]):
    """An agent as a visitor may know it: no instructions, no model."""

    id = WireId(Agent.PREFIX)
    name = serializers.CharField(read_only=True)
    description = serializers.CharField(read_only=True)
    tools = ToolRepresentation(many=True, read_only=True)
