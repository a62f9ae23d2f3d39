"""The threads of a chat session's visitor: `/chat_sessions/{chat_session_id}/threads` and below."""

import builtins
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.inputs.threads import NothingSent
from threadhub.api.rest.pagination import MAX_SKIP, WHOLE_NUMBER, address, read_order, read_skip, read_take
from threadhub.api.rest.representations import from_rows
from threadhub.api.rest.representations.threads import DONE, Done, ThreadWithMessages
from threadhub.api.rest.views import whole_thread
from threadhub.api.rest.views.base import InThread
from threadhub.workspaces.permissions import Permission
from threads import access, reading
from threads.actions import threads
from threads.models import Thread

PARAMETERS = [
    OpenApiParameter("skip", {**WHOLE_NUMBER, "maximum": MAX_SKIP}, default=0),
    OpenApiParameter("take", WHOLE_NUMBER, default=100, description="At most 100."),
    OpenApiParameter("order", str, enum=["asc", "desc"], default="desc", description="By creation."),
]


class SessionThreads(InThread):
    """Found by (agent, external_ref), so all threads of the same visitor, wherever they were made."""

    visitors = True
    permissions = {
        "GET": Permission.THREAD_READ,
        "POST": Permission.THREAD_WRITE,
        "DELETE": Permission.THREAD_DELETE,
    }
    query = {"list": ("skip", "take", "order")}

    @extend_schema(responses={200: ThreadWithMessages(many=True)}, parameters=PARAMETERS)
    def list(self, request: Request, chat_session_id: str) -> Response:
        """A bare array, newest first. Where there are more than `take`, a `Link` header leads on."""
        skip, take = read_skip(request), read_take(request, default=100)
        newest = "" if read_order(request) == "asc" else "-"
        rows = access.visible(actor=self.acting).order_by(f"{newest}created_at", f"{newest}id")
        found = list(rows[skip : skip + take + 1]) if take else []
        reading.note(actor=self.actor, threads=found[:take])
        response = Response(self._with_messages(found[:take]))
        if len(found) > take:
            response["Link"] = f'<{address(request, skip=str(skip + take))}>; rel="next"'
        return response

    @extend_schema(request=NothingSent, responses={200: ThreadWithMessages})
    def create(self, request: Request, chat_session_id: str) -> Response:
        NothingSent.parse(request)
        thread = threads.create_for_visitor(visitor=self.acting, now=self.now)
        headers = {"Location": f"{self.threads_path}/{thread.wire_id}"}
        return Response(self._with_messages([thread])[0], headers=headers)

    @extend_schema(responses={200: ThreadWithMessages})
    def retrieve(self, request: Request, **path: Any) -> HttpResponse:
        return whole_thread.answer(self)

    @extend_schema(responses={200: Done})
    def destroy(self, request: Request, **path: Any) -> Response:
        visitor = self.acting
        threads.delete(actor=visitor, thread=self.find_thread(visitor), now=self.now)
        return Response(DONE)

    def _with_messages(self, found: builtins.list[Thread], **context: Any) -> builtins.list[dict[str, Any]]:
        return from_rows.threads_with_messages(found, {"threads_path": self.threads_path, **context})
