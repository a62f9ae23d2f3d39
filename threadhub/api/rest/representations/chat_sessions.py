from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chat_sessions.models import ChatSession
from threadhub.agents.models import Agent
from threadhub.api.rest.representations.agents import SessionAgentRepresentation
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.api.rest.representations.threads import ThreadRepresentation
from threadhub.workspaces.models import User
from threads.models import Thread


class OpenedChatSession(serializers.Serializer[Any]):
    """A session with its two secrets, which no other answer shows again."""

    id = WireId(ChatSession.PREFIX, source="session.id")
    agent_id = WireId(Agent.PREFIX, source="session.agent_id")
    external_ref = serializers.CharField(source="session.external_ref", read_only=True)
    thread_id = WireId(Thread.PREFIX, source="session.first_thread_id", allow_null=True)
    chat_token = serializers.CharField(read_only=True)
    refresh_token = serializers.CharField(read_only=True)
    allowed_vectors = serializers.ListField(source="session.allowed_vectors", read_only=True)
    system_prompt_variables = serializers.DictField(source="session.system_prompt_variables", read_only=True)
    enabled_tools = serializers.ListField(source="session.enabled_tools", read_only=True, allow_null=True)
    created_at = moment(source="session.created_at")
    updated_at = moment(source="session.updated_at")
    expires_at = moment(source="session.expires_at")
    idle_expires_at = moment(source="session.idle_expires_at")
    anonymous = serializers.BooleanField(source="session.anonymous", read_only=True)


class ListedChatSession(serializers.Serializer[Any]):
    """A session in a list: without secrets, agent and thread."""

    id = WireId(ChatSession.PREFIX)
    agent_id = WireId(Agent.PREFIX)
    external_ref = serializers.CharField(read_only=True)
    thread_id = WireId(Thread.PREFIX, source="first_thread_id", allow_null=True)
    created_at = moment()
    updated_at = moment()
    expires_at = moment()
    idle_expires_at = moment()
    anonymous = serializers.BooleanField(read_only=True)
    origin = serializers.CharField(read_only=True, help_text="Of the page that opened it; empty: a server did.")
    user_id = WireId(User.PREFIX, allow_null=True)
    name = serializers.CharField(read_only=True)
    metadata = serializers.DictField(read_only=True)


class ChatSessionRepresentation(serializers.Serializer[Any]):
    """A session as its visitor sees it; `thread` is the first one, null once it was deleted."""

    id = WireId(ChatSession.PREFIX)
    agent_id = WireId(Agent.PREFIX)
    agent = SessionAgentRepresentation(read_only=True)
    external_ref = serializers.CharField(read_only=True)
    thread_id = serializers.SerializerMethodField()
    thread = serializers.SerializerMethodField()
    allowed_vectors = serializers.ListField(read_only=True)
    enabled_tools = serializers.ListField(child=serializers.CharField(), read_only=True, allow_null=True)
    created_at = moment()
    updated_at = moment()
    expires_at = moment()
    idle_expires_at = moment()
    anonymous = serializers.BooleanField(read_only=True)
    name = serializers.CharField(read_only=True)
    metadata = serializers.DictField(read_only=True)

    def get_thread_id(self, session: ChatSession) -> str | None:
        thread = self.context["thread"]
        return thread.wire_id if thread is not None else None

    @extend_schema_field(ThreadRepresentation(allow_null=True))
    def get_thread(self, session: ChatSession) -> Any:
        thread = self.context["thread"]
        return ThreadRepresentation(thread).data if thread is not None else None


class Revoked(serializers.Serializer[Any]):
    ended = serializers.IntegerField(read_only=True, help_text="How many sessions this ended.")


class ClaimedChatSession(serializers.Serializer[Any]):
    """Whose the session is from now on, and how many threads became theirs."""

    id = WireId(ChatSession.PREFIX, source="session.id")
    user_id = WireId(User.PREFIX, source="session.user_id")
    claimed_at = moment(source="session.claimed_at")
    threads = serializers.IntegerField(read_only=True)
