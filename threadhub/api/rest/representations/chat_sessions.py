from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chat_sessions.models import ChatSession
from threadhub.agents.models import Agent
from threadhub.api.rest.representations.agents import SessionAgentRepresentation
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.api.rest.representations.threads import ThreadRepresentation
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
    created_at = moment(source="session.created_at")
    updated_at = moment(source="session.updated_at")
    expires_at = moment(source="session.expires_at")


class ListedChatSession(serializers.Serializer[Any]):
    """A session in a list: without secrets, agent and thread."""

    id = WireId(ChatSession.PREFIX)
    agent_id = WireId(Agent.PREFIX)
    external_ref = serializers.CharField(read_only=True)
    thread_id = WireId(Thread.PREFIX, source="first_thread_id", allow_null=True)
    created_at = moment()
    updated_at = moment()
    expires_at = moment()


class ChatSessionRepresentation(serializers.Serializer[Any]):
    """A session as its visitor sees it; `thread` is the first one, null once it was deleted."""

    id = WireId(ChatSession.PREFIX)
    agent_id = WireId(Agent.PREFIX)
    agent = SessionAgentRepresentation(read_only=True)
    external_ref = serializers.CharField(read_only=True)
    thread_id = serializers.SerializerMethodField()
    thread = serializers.SerializerMethodField()
    allowed_vectors = serializers.ListField(read_only=True)
    created_at = moment()
    updated_at = moment()
    expires_at = moment()

    def get_thread_id(self, session: ChatSession) -> str | None:
        thread = self.context["thread"]
        return thread.wire_id if thread is not None else None

    @extend_schema_field(ThreadRepresentation(allow_null=True))
    def get_thread(self, session: ChatSession) -> Any:
        thread = self.context["thread"]
        return ThreadRepresentation(thread).data if thread is not None else None
