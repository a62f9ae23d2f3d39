"""`/chat_sessions` and `/chat_sessions/{chat_session_id}`."""

from django.db.models import QuerySet
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from chat_sessions import endings, sessions
from chat_sessions.models import ChatSession
from chat_sessions.refresh import refresh
from threadhub.agents.access import AgentNotFound
from threadhub.agents.models import Agent
from threadhub.api.authentication import bearer
from threadhub.api.permissions import DeclaredPermission
from threadhub.api.rest.filters import ChatSessionFilter, an_id
from threadhub.api.rest.inputs.chat_sessions import (
    ChatSessionClaim,
    ChatSessionRefresh,
    ChatSessionRevocation,
    NewChatSession,
    NewVisit,
)
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.chat_sessions import (
    ChatSessionRepresentation,
    ClaimedChatSession,
    ListedChatSession,
    OpenedChatSession,
    Revoked,
)
from threadhub.api.rest.views.base import RestViewSet
from threadhub.api.views import path_id
from threadhub.lib.errors import Unauthenticated
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Permission
from threads.actions.chat_sessions import (
    OpenedWithThread,
    first_thread,
    open_by_page_with_thread,
    open_with_thread,
)
from threads.actions.claim import claim

OPENING = PolymorphicProxySerializer(
    component_name="ChatSessionOpening", serializers=[NewChatSession, NewVisit], resource_type_field_name=None
)


class ChatSessions(RestViewSet):
    """Opened by a workspace's key, for a visitor whose browser then has the chat token only; or by a web page itself,
    with an agent's public key."""

    # A page has no key of a server; who has one needs CHAT_SESSION_WRITE, which the domain asks for.
    permissions = {"GET": Permission.CHAT_SESSION_READ, "POST": DeclaredPermission.ANYONE}
    filterset_class = ChatSessionFilter
    pagination_class = KeysetPagination

    def get_queryset(self) -> QuerySet[ChatSession]:
        return sessions.visible(actor=self.actor, now=self.now)

    @extend_schema(responses={200: ListedChatSession(many=True)})
    def list(self, request: Request) -> Response:
        """The living sessions of the workspace."""
        return self.page(self.get_queryset(), ListedChatSession)

    @extend_schema(request=OPENING, responses={200: OpenedChatSession})
    def create(self, request: Request) -> Response:
        """`agent_key` and no Authorization: for the visitor of a page, bound to the page's origin."""
        opened = self._open_by_key() if isinstance(request.user, Actor) else self._open_by_page()
        headers = {"Location": f"/chat_sessions/{opened.session.wire_id}", "Cache-Control": "no-store"}
        return Response(OpenedChatSession(opened).data, headers=headers)

    def _open_by_key(self) -> OpenedWithThread:
        self.actor.require(Permission.CHAT_SESSION_WRITE)
        body = NewChatSession.parse(self.request)
        agent_id = path_id(Agent.PREFIX, body.pop("agent_id"), AgentNotFound)
        return open_with_thread(actor=self.actor, agent_id=agent_id, now=self.now, **body)

    def _open_by_page(self) -> OpenedWithThread:
        if "agent_key" not in self.request.data:
            raise Unauthenticated
        body = NewVisit.parse(self.request)
        return open_by_page_with_thread(origin=self.request.headers.get("Origin"), now=self.now, **body)


class ChatSessionDetail(RestViewSet):
    visitors = True
    # Visitors may end their own; who else needs CHAT_SESSION_WRITE, which the domain asks for.
    permissions = {"GET": Permission.CHAT_SESSION_READ, "DELETE": Permission.CHAT_SESSION_READ}

    @extend_schema(responses={200: ChatSessionRepresentation})
    def retrieve(self, request: Request, chat_session_id: str) -> Response:
        session = self._find()
        thread = first_thread(session=session)
        return Response(ChatSessionRepresentation(session, context={"thread": thread}).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, chat_session_id: str) -> Response:
        """Its tokens stop working at once, its streams end; its threads stay. A visitor logs out with it."""
        endings.end(actor=self.actor, session=self._find(), now=self.now)
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
        origin = request.headers.get("Origin")
        opened = refresh(session_id=session_id, refresh_token=token, now=self.now, origin=origin)
        return Response(OpenedChatSession(opened).data, headers={"Cache-Control": "no-store"})


class ChatSessionRevocations(RestViewSet):
    permissions = {"POST": Permission.CHAT_SESSION_WRITE}

    @extend_schema(request=ChatSessionRevocation, responses={200: Revoked})
    def revoke(self, request: Request) -> Response:
        """Ends all living sessions of an agent, a visitor or a user."""
        body = ChatSessionRevocation.parse(request)
        prefixes = {"agent_id": Agent.PREFIX, "user_id": User.PREFIX}
        wanted = {name: an_id(prefixes[name])(text) if name in prefixes else text for name, text in body.items()}
        return Response({"ended": endings.revoke(actor=self.actor, now=self.now, **wanted)})


class ChatSessionClaims(RestViewSet):
    permissions = {"POST": Permission.THREAD_WRITE}

    @extend_schema(request=ChatSessionClaim, responses={200: ClaimedChatSession})
    def claim(self, request: Request, chat_session_id: str) -> Response:
        """Once: the visitor's threads become the user's who signed in. The user proves to be themselves in the
        Authorization header, and to be the visitor by the session's chat token in the body."""
        body = ChatSessionClaim.parse(request)
        session_id = path_id(ChatSession.PREFIX, chat_session_id, sessions.ChatSessionNotFound)
        user_id = an_id(User.PREFIX)(body["user_id"]) if "user_id" in body else None
        claimed = claim(
            actor=self.actor, session_id=session_id, chat_token=body["chat_token"], user_id=user_id, now=self.now
        )
        return Response(ClaimedChatSession(claimed).data)
