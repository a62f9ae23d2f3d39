"""Threads as the `ai` dialect spells them."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from threadhub.agents.models import Agent
from threadhub.api.ai.fields import MomentField, WireIdField
from threadhub.api.ai.representations.messages import MessageObject
from threadhub.workspaces.models import User, Workspace
from threads.lifecycle import reading
from threads.models import Message, Summary, Thread


class SummaryObject(serializers.Serializer[Any]):
    """Text that stands for the messages from one index of `messages` to another, both included."""

    fromIndex = serializers.IntegerField()
    toIndex = serializers.IntegerField()
    summary = serializers.CharField()


class ThreadObject(serializers.Serializer[Thread]):
    """A thread without its messages, as it stands in lists and comes fresh from its making."""

    _id = serializers.CharField(source="wire_id", read_only=True)
    integration = WireIdField(Agent.PREFIX, source="agent_id")
    title = serializers.CharField(allow_null=True)
    messages = serializers.SerializerMethodField()
    messageSummaries = serializers.SerializerMethodField()
    created = MomentField(source="created_at")
    updated = MomentField(source="updated_at")
    user = WireIdField(User.PREFIX, source="user_id", allow_null=True)
    workspace = WireIdField(Workspace.PREFIX, source="workspace_id")

    @extend_schema_field(MessageObject(many=True))
    def get_messages(self, thread: Thread) -> Any:
        return []

    @extend_schema_field(SummaryObject(many=True))
    def get_messageSummaries(self, thread: Thread) -> Any:
        return []


class WholeThreadObject(ThreadObject):
    """A thread with all of its messages. Two queries: messages, summaries."""

    def to_representation(self, instance: Thread) -> dict[str, Any]:
        messages: Any = list(reading.messages(instance))
        whole: dict[str, Any] = super().to_representation(instance)
        whole["messages"] = MessageObject(messages, many=True).data
        whole["messageSummaries"] = summaries(reading.summaries(instance), messages)
        return whole


def summaries(rows: Iterable[Summary], messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Positions as indexes into `messages`, which may have gaps where one was deleted; empty ranges are left out."""
    positions = [message.position for message in messages]
    spelled = []
    for row in rows:
        first, last = bisect_left(positions, row.from_position), bisect_right(positions, row.to_position) - 1
        if first <= last:
            spelled.append({"fromIndex": first, "toIndex": last, "summary": row.text})
    return spelled
