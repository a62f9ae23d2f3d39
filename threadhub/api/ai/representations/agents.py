"""Agents, which are integrations, as the `ai` dialect spells them."""

from typing import Any

from rest_framework import serializers

from threadhub.agents import access
from threadhub.agents.models import Agent
from threadhub.api.ai.fields import MomentField, WireIdField
from threadhub.workspaces.models import Workspace


class AgentToolObject(serializers.Serializer[Any]):
    _id = serializers.CharField(source="wire_id")
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)


class AgentObject(serializers.Serializer[Agent]):
    """An agent. `systemPrompt` is null for those who may not change the agent."""

    _id = serializers.CharField(source="wire_id")
    name = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    model = serializers.CharField(allow_blank=True)
    systemPrompt = serializers.SerializerMethodField()
    tools = AgentToolObject(many=True)
    temperature = serializers.FloatField(allow_null=True)
    maxTokens = serializers.IntegerField(source="max_output_tokens", allow_null=True)
    tenant = WireIdField(Workspace.PREFIX, source="workspace_id")
    workspace = WireIdField(Workspace.PREFIX, source="workspace_id")
    triggerSource = serializers.CharField(default=None, allow_null=True, read_only=True)
    targetSource = serializers.CharField(source="provider")
    active = serializers.BooleanField()
    created = MomentField(source="created_at")

    def get_systemPrompt(self, agent: Agent) -> str | None:
        return access.instructions(actor=self.context["actor"], agent=agent)
