"""`/threads` and `/threads/{thread_id}`."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.filters import ThreadFilter, truth
from threadhub.api.rest.inputs.threads import NothingSent, ThreadChange
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations import from_rows
from threadhub.api.rest.representations.threads import (
    DONE,
    Done,
    ListedThread,
    ThreadRepresentation,
    ThreadWithMessages,
)
from threadhub.api.rest.views import whole_thread
from threadhub.api.rest.views.base import InThread
from threadhub.lib.errors import Invalid
from threadhub.workspaces.permissions import Permission
from threads import access, reading
from threads.actions import threads
from threads.lifecycle import acts, restore
from threads.querysets.threads import ThreadQuerySet

INCLUDE_MESSAGES = OpenApiParameter("include_messages", bool, default=True, description="Threads with their messages.")


class ThreadLife(InThread):
    """`…/archive` and `…/unarchive`."""

    permissions = {"POST": Permission.THREAD_ARCHIVE}

    @extend_schema(request=NothingSent, responses={200: ThreadRepresentation})
    def archive(self, request: Request, **path: Any) -> Response:
        """Moves the messages into a bundle. The thread can be read as before, and not written to."""
        NothingSent.parse(request)
        thread = acts.archive(actor=self.actor, thread=self.find_thread(), now=self.now)
        return Response(ThreadRepresentation(thread).data)

    @extend_schema(request=NothingSent, responses={200: ThreadRepresentation})
    def unarchive(self, request: Request, **path: Any) -> Response:
        """Brings the messages back, after the bundle was verified. No policy takes the thread again for a week."""
        NothingSent.parse(request)
        thread = restore.restore(actor=self.actor, thread=self.find_thread(), now=self.now)
        return Response(ThreadRepresentation(thread).data)


class Threads(InThread):
    """Every thread that one may see, over all agents."""

    permissions = {
        "GET": Permission.THREAD_READ,
        "PATCH": Permission.THREAD_WRITE,
        "DELETE": Permission.THREAD_DELETE,
    }
    query = {"list": ("include_messages",)}
    short_way = frozenset({"list", "retrieve"})
    filterset_class = ThreadFilter
    pagination_class = KeysetPagination

    def get_queryset(self) -> ThreadQuerySet:
        return access.visible(actor=self.actor)

    @extend_schema(responses={200: ListedThread(many=True)}, parameters=[INCLUDE_MESSAGES])
    def list(self, request: Request) -> HttpResponse:
        if include_messages(request):
            rows: Any = self.filtered_page(self.get_queryset())
            reading.note(actor=self.actor, threads=rows)
            return self.get_paginated_response(from_rows.threads_with_messages(rows, {}))
        page = self.page_of_rows()
        if page is not None:
            return page
        return self.get_paginated_response(from_rows.threads(self.filtered_page(self.get_queryset())))

    @extend_schema(responses={200: ThreadWithMessages})
    def retrieve(self, request: Request, **path: Any) -> HttpResponse:
        return whole_thread.answer(self)

    @extend_schema(request=ThreadChange, responses={200: ThreadRepresentation})
    def partial_update(self, request: Request, **path: Any) -> Response:
        fields = ThreadChange.parse(request)
        thread = threads.change(actor=self.actor, thread=self.find_thread(), now=self.now, **fields)
        return Response(ThreadRepresentation(thread).data)

    @extend_schema(responses={200: Done})
    def destroy(self, request: Request, **path: Any) -> Response:
        threads.delete(actor=self.actor, thread=self.find_thread(), now=self.now)
        return Response(DONE)


def include_messages(request: Request) -> bool:
    """The parameter `include_messages`. Raises Invalid."""
    try:
        return truth(request.query_params.get("include_messages", "true"))
    except ValueError as error:
        raise Invalid.at("query", "include_messages", msg=str(error), type="bool_parsing") from error
