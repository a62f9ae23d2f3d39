from typing import Any

from rest_framework import serializers

from threadhub.agents.models import Agent, Tool
from threadhub.api.rest.representations.fields import WireId, moment
from threads.models import Run, Thread, ToolApproval


class ApprovalRepresentation(serializers.Serializer[Any]):
    """A call that a person must approve. `arguments_digest`: SHA-256 of the arguments as JSON with sorted keys."""

    id = WireId(ToolApproval.PREFIX)
    thread_id = WireId(Thread.PREFIX)
    run_id = WireId(Run.PREFIX)
    agent_id = serializers.SerializerMethodField()
    tool_id = WireId(Tool.PREFIX, allow_null=True)
    tool_name = serializers.CharField(read_only=True)
    tool_call_id = serializers.CharField(read_only=True)
    arguments = serializers.DictField(source="arguments_read", read_only=True)
    arguments_digest = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=ToolApproval.Status.values, read_only=True)
    asked_at = moment(source="created_at")
    expires_at = moment()
    decided_at = moment(allow_null=True)
    decided_by = serializers.SerializerMethodField(help_text="user:… or key:…; null for a decision of nobody.")
    reason = serializers.CharField(read_only=True)
    called_at = moment(allow_null=True)
    continued_by = WireId(
        Run.PREFIX, source="run.continued_by", allow_null=True, help_text="The run that goes on, once all is decided."
    )

    def get_agent_id(self, approval: ToolApproval) -> str:
        return WireId(Agent.PREFIX).to_representation(approval.run.agent_id)

    def get_arguments_digest(self, approval: ToolApproval) -> str:
        return bytes(approval.arguments_digest).hex()

    def get_decided_by(self, approval: ToolApproval) -> str | None:
        return approval.decided_by or None
