from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from threadhub.agents import versions
from threadhub.agents.models import DoubleTexting, Tool
from threadhub.api.rest.representations.fields import moment
from threadhub.lib import ids

NAMES = (*versions.KEPT, versions.TOOLS)


class AgentVersionValues(serializers.Serializer[Any]):
    """How the agent answered; the names are those of an agent."""

    name = serializers.CharField(read_only=True)
    description = serializers.CharField(read_only=True)
    provider = serializers.CharField(read_only=True)
    model = serializers.CharField(read_only=True)
    instructions = serializers.CharField(read_only=True)
    temperature = serializers.FloatField(read_only=True, allow_null=True)
    max_output_tokens = serializers.IntegerField(read_only=True, allow_null=True)
    context_budget = serializers.IntegerField(read_only=True)
    max_steps = serializers.IntegerField(read_only=True)
    max_seconds = serializers.IntegerField(read_only=True)
    max_run_tokens = serializers.IntegerField(read_only=True, allow_null=True)
    max_run_cost = serializers.CharField(read_only=True, allow_null=True)
    titles = serializers.BooleanField(read_only=True)
    double_texting = serializers.ChoiceField(choices=DoubleTexting.values, read_only=True)
    metadata = serializers.DictField(read_only=True)
    tools = serializers.SerializerMethodField(help_text="Ids of its tools, also of those that are gone since.")

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_tools(self, values: dict[str, Any]) -> list[str]:
        return [ids.encode(Tool.PREFIX, UUID(each)) for each in values[versions.TOOLS]]


class AgentVersionRepresentation(serializers.Serializer[Any]):
    number = serializers.IntegerField(read_only=True)
    changed = serializers.ListField(
        child=serializers.ChoiceField(choices=NAMES), read_only=True, help_text="What differs from the version before."
    )
    restored_from = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="The number of the version that this one went back to."
    )
    author = serializers.CharField(
        read_only=True, help_text="user:…, key:… or system; empty: before there was history."
    )
    created_at = moment()
    values = AgentVersionValues(read_only=True)
