from typing import Any

from rest_framework import serializers

from chat_sessions.models import ChatSession
from threadhub.agents.models import Agent
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.api.rest.representations.messages import MessageRepresentation
from threadhub.workspaces.models import User
from threads.models import Thread


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
    branch = serializers.IntegerField(read_only=True, help_text="The active branch; 1 until the thread is forked.")


class ThreadWithMessages(ThreadRepresentation):
    messages = MessageRepresentation(many=True, read_only=True)


class ListedThread(ThreadRepresentation):
    """`messages` is left out with `include_messages=false`."""

    messages = MessageRepresentation(many=True, read_only=True, required=False)


class Done(serializers.Serializer[Any]):
    """A confirmation."""

    success = serializers.BooleanField(read_only=True)


DONE = {"success": True}
