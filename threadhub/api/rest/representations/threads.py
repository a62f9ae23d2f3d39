from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chat_sessions.models import ChatSession
from threadhub.agents.models import Agent
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.api.rest.representations.messages import MessageRepresentation
from threadhub.lib import ids
from threadhub.workspaces.models import User
from threads.lifecycle import reading
from threads.lifecycle.expiry import Expiry, Outlook
from threads.models import RetentionPolicy, Thread


class ThreadPolicyRepresentation(serializers.Serializer[Any]):
    id = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True)
    scope = serializers.ChoiceField(choices=["thread", "agent", "workspace", "system"], read_only=True)
    action = serializers.ChoiceField(choices=["archive", "trash", "purge"], read_only=True)
    days = serializers.IntegerField(read_only=True)


class ThreadRepresentation(serializers.Serializer[Any]):
    """Seed 003's thread, and `metadata` onwards what threadhub adds."""

    id = WireId(Thread.PREFIX)
    agent_id = WireId(Agent.PREFIX)
    user_id = WireId(User.PREFIX, allow_null=True)
    external_ref = serializers.CharField(read_only=True, allow_null=True)
    title = serializers.CharField(read_only=True, allow_null=True)
    created_at = moment()
    updated_at = moment()
    metadata = serializers.DictField(read_only=True)
    state = serializers.ChoiceField(choices=["active", "archived"], read_only=True)
    origin = serializers.ChoiceField(choices=Thread.Origin.values, read_only=True)
    chat_session_id = WireId(ChatSession.PREFIX, allow_null=True)
    messages_count = serializers.IntegerField(source="message_count", read_only=True)
    last_activity_at = moment(allow_null=True)
    handled_by = serializers.SerializerMethodField(
        help_text="`person` while a member of staff answers in the agent's place: questions wait for them."
    )
    branch = serializers.IntegerField(read_only=True, help_text="The active branch; 1 until the thread is forked.")
    expires_at = serializers.SerializerMethodField(help_text="When `policy` acts, as things stand; null: never.")
    policy = serializers.SerializerMethodField(help_text="The retention policy that decides, if there is one.")
    held = serializers.SerializerMethodField(help_text="On legal hold: nothing removes it.")

    @extend_schema_field({"type": "string", "enum": ["agent", "person"]})
    def get_handled_by(self, thread: Thread) -> str:
        return "person" if thread.taken_over else "agent"

    @extend_schema_field({"type": "string", "format": "date-time", "nullable": True})
    def get_expires_at(self, thread: Thread) -> datetime | None:
        return self._outlook(thread).at

    @extend_schema_field(ThreadPolicyRepresentation(allow_null=True))
    def get_policy(self, thread: Thread) -> dict[str, Any] | None:
        rule = self._outlook(thread).rule
        if rule is None:
            return None
        wire_id = ids.encode(RetentionPolicy.PREFIX, rule.id)
        return {"id": wire_id, "name": rule.name, "scope": rule.level, "action": rule.action, "days": rule.days}

    def get_held(self, thread: Thread) -> bool:
        return self._outlook(thread).held

    def _outlook(self, thread: Thread) -> Outlook:
        """Policies and holds are read once for all threads of an answer."""
        context: Any = self.context
        known = context.setdefault("expiry", {})
        if thread.workspace_id not in known:
            known[thread.workspace_id] = Expiry(workspace_id=thread.workspace_id, now=timezone.now())
        outlook: Outlook = known[thread.workspace_id].of(thread)
        return outlook


class ThreadWithMessages(ThreadRepresentation):
    messages = MessageRepresentation(many=True, read_only=True)

    def to_representation(self, instance: Thread) -> dict[str, Any]:
        reading.fill(instance)
        whole: dict[str, Any] = super().to_representation(instance)
        return whole


class ListedThread(ThreadRepresentation):
    """`messages` is left out with `include_messages=false`."""

    messages = MessageRepresentation(many=True, read_only=True, required=False)


class Done(serializers.Serializer[Any]):
    """A confirmation."""

    success = serializers.BooleanField(read_only=True)


DONE = {"success": True}
