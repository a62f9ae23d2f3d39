"""The messages of a thread by themselves: `…/threads/{thread_id}/messages[/{message_id}]`."""

from functools import partial
from typing import Any, cast

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.filters import MessageFilter
from threadhub.api.rest.inputs import plain_bodies
from threadhub.api.rest.inputs.messages import NewMessage, draft
from threadhub.api.rest.pagination import WHOLE_NUMBER, whole_number
from threadhub.api.rest.position_page import PositionPage, by_objects
from threadhub.api.rest.representations import from_rows
from threadhub.api.rest.representations.messages import MessageRepresentation, versions
from threadhub.api.rest.representations.threads import DONE, Done
from threadhub.api.rest.views import whole_thread
from threadhub.api.rest.views.base import InThread
from threadhub.api.views import path_id
from threadhub.workspaces.permissions import Permission
from threads import access, branches
from threads.actions import at_once, messages
from threads.actions.messages import Draft
from threads.lifecycle import reading
from threads.models import Branch, Message, Thread
from threads.querysets.messages import MessageQuerySet

PARAMETERS = [
    OpenApiParameter("take", WHOLE_NUMBER, default=50, description="At most 100."),
    OpenApiParameter("order", str, enum=["asc", "desc"], default="asc", description="By position."),
    # One of them alone gives the page beside that position; both give a range.
    OpenApiParameter("after", WHOLE_NUMBER, description="The messages right after this position."),
    OpenApiParameter("before", WHOLE_NUMBER, description="The messages right before this position."),
    OpenApiParameter("branch", WHOLE_NUMBER, description="Number of the branch to read; the active one by default."),
]


@extend_schema_serializer(many=False)
class MessagePage(serializers.Serializer[Any]):
    count = serializers.IntegerField(read_only=True, help_text="All messages of the branch.")
    has_more = serializers.BooleanField(read_only=True)
    next = serializers.URLField(read_only=True, allow_null=True)
    previous = serializers.URLField(read_only=True, allow_null=True)
    data = MessageRepresentation(many=True, read_only=True)  # type: ignore[assignment]


class Messages(InThread):
    permissions = {
        "GET": Permission.THREAD_READ,
        "POST": Permission.MESSAGE_APPEND,
        "DELETE": Permission.MESSAGE_DELETE,
    }
    short_way = frozenset({"list", "create", "retrieve"})
    query = {"list": ("take", "order", "after", "before", "branch")}
    filterset_class = MessageFilter

    @extend_schema(responses={200: MessagePage}, parameters=PARAMETERS)
    def list(self, request: Request, **path: Any) -> HttpResponse:
        page = whole_thread.messages(self)
        return page if page is not None else self._by_objects(request)

    def _by_objects(self, request: Request) -> Response:
        """Of a thread that was forked or archived, of one role, of another branch; or why there is no such page."""
        thread = self.find_thread()
        shown = self._shown(thread)
        rows = self.filter_queryset(Message.objects.of_all_branches(thread).on(shown.path))
        if reading.is_bundled(thread):
            rows = reading.ArchivedMessages.of(thread).on(shown.path).with_role(request.query_params.get("role"))  # type: ignore[assignment]
        page = PositionPage(request)
        page.fill(partial(by_objects, cast("MessageQuerySet", rows)))
        context = self._context() | versions(thread, shown.number)
        data = MessageRepresentation(page.rows, many=True, context=context).data
        return Response(page.envelope(shown.message_count, data))

    @extend_schema(request=NewMessage, responses={201: MessageRepresentation})
    def create(self, request: Request, **path: Any) -> Response:
        appended = self._append_at_once(plain_bodies.message(self._body()))
        if appended is not None:
            return appended
        thread = self.find_thread()
        (message,) = messages.append(actor=self.actor, thread=thread, drafts=[draft(request)])
        headers = {"Location": f"{self.threads_path}/{thread.wire_id}/messages/{message.wire_id}"}
        return Response(MessageRepresentation(message, context=self._context()).data, status=201, headers=headers)

    @extend_schema(responses={200: MessageRepresentation})
    def retrieve(self, request: Request, **path: Any) -> HttpResponse:
        found = whole_thread.message(self)
        if found is not None:
            return found
        message = self._find()
        context = self._context() | versions(message.thread, message.thread.branch)
        return Response(MessageRepresentation(message, context=context).data)

    @extend_schema(responses={200: Done})
    def destroy(self, request: Request, **path: Any) -> Response:
        message = self._find()
        messages.delete(actor=self.actor, thread=message.thread, message=message, now=self.now)
        return Response(DONE)

    def _body(self) -> Any:
        """What was sent. Raises ThreadNotFound before it says what is wrong with it."""
        try:
            return self.request.data
        except Exception:
            self.find_thread()
            raise

    def _append_at_once(self, sent: Draft | None) -> Response | None:
        """A plain message, by one statement. None: it is for the others to append, or to refuse."""
        if sent is None or "chat_session_id" in self.kwargs:
            return None
        thread_id, agent_id = self.named()
        appended = at_once.append(actor=self.actor, thread_id=thread_id, agent_id=agent_id, draft=sent)
        if appended is None:
            return None
        shown = from_rows.appended(sent, appended, self._context())
        headers = {"Location": f"{self.threads_path}/{shown['thread_id']}/messages/{shown['id']}"}
        return Response(shown, status=201, headers=headers)

    def _find(self) -> Message:
        thread = self.find_thread()
        message_id = path_id(Message.PREFIX, self.kwargs["message_id"], access.MessageNotFound)
        message = access.get_message(thread=thread, message_id=message_id)
        message.thread = thread
        return message

    def _shown(self, thread: Thread) -> Branch:
        """The branch that is asked for. Raises BranchNotFound."""
        number = whole_number(self.request, "branch", thread.branch)
        if number == thread.branch:
            return Branch(number=number, path=thread.path, message_count=thread.message_count)
        return branches.get(thread=thread, number=number)

    def _context(self) -> dict[str, Any]:
        return {"threads_path": self.threads_path}
