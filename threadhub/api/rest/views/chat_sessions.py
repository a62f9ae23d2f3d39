"""`/chat_sessions` and `/chat_sessions/{chat_session_id}`."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from chat_sessions import sessions
from chat_sessions.models import ChatSession
from threadhub.agents.access import AgentNotFound
from threadhub.agents.models import Agent
from threadhub.api.authentication import bearer
from threadhub.api.permissions import DeclaredPermission
from threadhub.api.rest.filters import ChatSessionFilter
from threadhub.api.rest.inputs.chat_sessions import ChatSessionRefresh, NewChatSession
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.chat_sessions import (
    ChatSessionRepresentation,
    ListedChatSession,
    OpenedChatSession,
)
from threadhub.api.rest.views.base import RestViewSet
from threadhub.api.views import path_id
from threadhub.workspaces.permissions import Permission
from threads.actions.chat_sessions import first_thread, open_with_thread


class ChatSessions(RestViewSet):
    """Opened by a workspace's key, for a visitor whose browser then has the chat token only."""

    permissions = {"GET": Permission.CHAT_SESSION_READ, "POST": Permission.CHAT_SESSION_WRITE}
    filterset_class = ChatSessionFilter
    pagination_class = KeysetPagination

    def get_queryset(self) -> QuerySet[ChatSession]:
        return sessions.visible(actor=self.actor, now=self.now)

    @extend_schema(responses={200: ListedChatSession(many=True)})
    def list(self, request: Request) -> Response:
        """The living sessions of the workspace."""
        return self.page(self.get_queryset(), ListedChatSession)

    @extend_schema(request=NewChatSession, responses={200: OpenedChatSession})
    def create(self, request: Request) -> Response:
        body = NewChatSession.parse(request)
        agent_id = path_id(Agent.PREFIX, body.pop("agent_id"), AgentNotFound)
        opened = open_with_thread(actor=self.actor, agent_id=agent_id, now=self.now, **body)
        headers = {"Location": f"/chat_sessions/{opened.session.wire_id}", "Cache-Control": "no-store"}
        return Response(OpenedChatSession(opened).data, headers=headers)


class ChatSessionDetail(RestViewSet):
    visitors = True
    permissions = {"GET": Permission.CHAT_SESSION_READ, "DELETE": Permission.CHAT_SESSION_WRITE}

    @extend_schema(responses={200: ChatSessionRepresentation})
    def retrieve(self, request: Request, chat_session_id: str) -> Response:
        session = self._find()
        thread = first_thread(session=session)
        return Response(ChatSessionRepresentation(session, context={"thread": thread}).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, chat_session_id: str) -> Response:
        """Its tokens stop working at once; its threads stay."""
        sessions.end(actor=self.actor, session=self._find(), now=self.now)
        return Response(status=204)

    def _find(self) -> ChatSession:
        session_id = path_id(ChatSession.PREFIX, self.kwargs["chat_session_id"], sessions.ChatSessionNotFound)
        return sessions.get(actor=self.actor, session_id=session_id, now=self.now)


class ChatSessionTokens(RestViewSet):
    """New tokens for the refresh token, which comes as the bearer token or in the body."""

    authentication_classes = ()
    permissions = {"POST": DeclaredPermission.ANYONE}

    @extend_schema(request=ChatSessionRefresh, responses={200: OpenedChatSession})
    def refresh(self, request: Request, chat_session_id: str) -> Response:
        token = ChatSessionRefresh.parse(request).get("refresh_token") or bearer(request)
        session_id = path_id(ChatSession.PREFIX, chat_session_id, sessions.ChatSessionNotFound)
        if token is None:
            raise sessions.InvalidRefreshToken("Send the refresh token: Authorization: Bearer <refresh_token>.")
        opened = sessions.refresh(session_id=session_id, refresh_token=token, now=self.now)
        return Response(OpenedChatSession(opened).data, headers={"Cache-Control": "no-store"})
