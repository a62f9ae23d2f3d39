from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from threadhub.agents import access, calling
from threadhub.agents.models import Agent, DoubleTexting, Tool
from threadhub.agents.usage import written
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.lib import ids
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import ApiKey, User
from threadhub.workspaces.permissions import Permission

NAMES_OR_NULL = {"type": "array", "items": {"type": "string"}, "nullable": True}


class ToolRepresentation(serializers.Serializer[Any]):
    id = WireId(Tool.PREFIX)
    name = serializers.CharField(read_only=True)
    description = serializers.SerializerMethodField()
    kind = serializers.ChoiceField(choices=Tool.Kind.values, read_only=True)
    parameters = serializers.SerializerMethodField(help_text="JSON Schema of the arguments.")
    config = serializers.DictField(
        read_only=True,
        help_text="How it is reached, for tools of the kinds http and mcp; secret headers are never shown.",
    )

    approval = serializers.ChoiceField(
        choices=Tool.Approval.values, read_only=True, help_text="Whether a person must approve each call."
    )

    def get_description(self, tool: Tool) -> str:
        return calling.description_of(tool)

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_parameters(self, tool: Tool) -> dict[str, Any]:
        return calling.parameters_of(tool)


class AgentRepresentation(serializers.Serializer[Any]):
    """What only those see who may change the agent is null for others: its instructions, and to whom it is limited.
    The context has the `actor`."""

    id = WireId(Agent.PREFIX)
    name = serializers.CharField(read_only=True)
    description = serializers.CharField(read_only=True)
    provider = serializers.ChoiceField(choices=Agent.Provider.values, read_only=True)
    model = serializers.CharField(read_only=True)
    instructions = serializers.SerializerMethodField()
    temperature = serializers.FloatField(read_only=True, allow_null=True)
    max_output_tokens = serializers.IntegerField(read_only=True, allow_null=True)
    context_budget = serializers.IntegerField(read_only=True)
    max_steps = serializers.IntegerField(read_only=True)
    max_seconds = serializers.IntegerField(read_only=True)
    max_run_tokens = serializers.IntegerField(read_only=True, allow_null=True)
    max_run_cost = serializers.SerializerMethodField()
    titles = serializers.BooleanField(read_only=True)
    double_texting = serializers.ChoiceField(choices=DoubleTexting.values, read_only=True)
    active = serializers.BooleanField(read_only=True)
    metadata = serializers.DictField(read_only=True)
    public_key = serializers.CharField(read_only=True, allow_null=True)
    allowed_origins = serializers.ListField(child=serializers.CharField(), read_only=True)
    identity_required = serializers.BooleanField(read_only=True)
    has_identity_secret = serializers.BooleanField(read_only=True)
    tools = ToolRepresentation(many=True, read_only=True)
    limited = serializers.BooleanField(read_only=True, help_text="Only for those who are allowed, and admins.")
    allowed_roles = serializers.SerializerMethodField()
    allowed_users = serializers.SerializerMethodField()
    allowed_keys = serializers.SerializerMethodField()
    created_at = moment()
    updated_at = moment()

    def get_max_run_cost(self, agent: Agent) -> str | None:
        return written(agent.max_run_cost)

    def get_instructions(self, agent: Agent) -> str | None:
        return access.instructions(actor=self.context["actor"], agent=agent)

    @extend_schema_field(NAMES_OR_NULL)
    def get_allowed_roles(self, agent: Agent) -> list[str] | None:
        return agent.allowed_roles if self._in_full() else None

    @extend_schema_field(NAMES_OR_NULL)
    def get_allowed_users(self, agent: Agent) -> list[str] | None:
        return [ids.encode(User.PREFIX, each) for each in agent.allowed_users] if self._in_full() else None

    @extend_schema_field(NAMES_OR_NULL)
    def get_allowed_keys(self, agent: Agent) -> list[str] | None:
        return [ids.encode(ApiKey.PREFIX, each) for each in agent.allowed_keys] if self._in_full() else None

    def _in_full(self) -> bool:
        actor: Actor = self.context["actor"]
        return actor.may(Permission.AGENT_WRITE)


class IdentitySecret(serializers.Serializer[Any]):
    """Shown once."""

    identity_secret = serializers.CharField(read_only=True)
    previous_until = moment(allow_null=True, help_text="How long proofs by the secret before are still taken.")


class SessionAgentRepresentation(serializers.Serializer[Any]):
    """An agent as a visitor may know it: no instructions, no model."""

    id = WireId(Agent.PREFIX)
    name = serializers.CharField(read_only=True)
    description = serializers.CharField(read_only=True)
    tools = ToolRepresentation(many=True, read_only=True)
