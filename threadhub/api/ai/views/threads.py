"""`/api/ai/threads`: seed 000."""

from typing import Any, ClassVar

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents.access import AgentNotFound
from threadhub.agents.models import Agent
from threadhub.api.ai.filters import ThreadFilters
from threadhub.api.ai.inputs.threads import NewThread
from threadhub.api.ai.pagination import ThreadPages
from threadhub.api.ai.representations.threads import ThreadObject, WholeThreadObject
from threadhub.api.ai.views.viewset import AiViewSet
from threadhub.api.views import path_id
from threadhub.workspaces.permissions import Permission
from threads import access, reading
from threads.access import ThreadNotFound
from threads.actions import threads
from threads.models import Thread
from threads.querysets.threads import ThreadQuerySet

DELETED = inline_serializer("AiThreadDeleted", {"success": serializers.BooleanField()})


class Threads(AiViewSet):
    """Threads that the actor may see: their own; all of the workspace for its keys and admins."""

    permissions: ClassVar[dict[str, Any]] = {
        "GET": Permission.THREAD_READ,
        "POST": Permission.THREAD_WRITE,
        "DELETE": Permission.THREAD_DELETE,
    }
    wordings: ClassVar[dict[str, str]] = {
        "thread_not_found": "Thread not found",
        "agent_not_found": "Integration not found",
    }
    queryset = Thread.objects.none()
    serializer_class = ThreadObject
    filter_backends = [DjangoFilterBackend]
    filterset_class = ThreadFilters
    pagination_class = ThreadPages

    def get_queryset(self) -> ThreadQuerySet:
        return access.visible(actor=self.actor)

    @extend_schema(operation_id="ai_threads_create", request=NewThread, responses={201: ThreadObject})
    def create(self, request: Request) -> Response:
        """A new thread with an integration."""
        asked = NewThread(data=self.body)
        asked.is_valid(raise_exception=True)
        thread = threads.create(
            actor=self.actor,
            agent_id=path_id(Agent.PREFIX, asked.validated_data["integration"], AgentNotFound),
            title=asked.validated_data.get("title"),
            now=self.now,
        )
        return Response(ThreadObject(thread).data, status=201)

    @extend_schema(operation_id="ai_threads_list", responses=ThreadObject(many=True))
    def list(self, request: Request) -> Response:
        """The threads, without their messages; those that changed last come first."""
        page: Any = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return Response(ThreadObject(page, many=True).data)

    @extend_schema(operation_id="ai_threads_get", responses=WholeThreadObject)
    def retrieve(self, request: Request, thread_id: str) -> Response:
        """One thread with all of its messages."""
        thread = self._thread(thread_id)
        reading.note(actor=self.actor, threads=[thread])
        return Response(WholeThreadObject(thread).data)

    @extend_schema(operation_id="ai_threads_delete", responses={200: DELETED})
    def destroy(self, request: Request, thread_id: str) -> Response:
        """Remove a thread and its messages for good."""
        threads.delete(actor=self.actor, thread=self._thread(thread_id), now=self.now)
        return Response({"success": True})

    def _thread(self, thread_id: str) -> Thread:
        return access.get(actor=self.actor, thread_id=path_id(Thread.PREFIX, thread_id, ThreadNotFound))
