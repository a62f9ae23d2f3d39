"""`…/threads/{thread_id}/branches[/{number}/activate]`: the courses of a thread since it was forked."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.inputs.branches import INTERRUPT, Activation
from threadhub.api.rest.pagination import KeysetPagination, read_skip, read_take
from threadhub.api.rest.representations.branches import BranchRepresentation
from threadhub.api.rest.views.base import InThread
from threadhub.workspaces.permissions import Permission
from threads import access, branches
from threads.actions.branches import activate

NUMBER = OpenApiParameter("number", OpenApiTypes.INT, OpenApiParameter.PATH)


class Branches(InThread):
    permissions = {"GET": Permission.THREAD_READ, "POST": Permission.THREAD_WRITE}
    pagination_class = KeysetPagination

    @extend_schema(responses={200: BranchRepresentation(many=True)})
    def list(self, request: Request, **path: Any) -> Response:
        """A thread that was never forked has one branch, number 1."""
        thread = self.find_thread()
        rows = self.paginate_queryset(branches.with_last_message(branches.of_thread(thread))) or []
        told = branches.told(thread=thread, rows=rows)
        if thread.path is None and read_skip(request) == 0 and read_take(request):
            told = [branches.told_of(thread=thread, number=1)]
        page = self.get_paginated_response(BranchRepresentation(told, many=True).data)
        page.data["count"] = page.data["count"] or 1
        return page

    @extend_schema(request=Activation, responses={200: BranchRepresentation}, parameters=[NUMBER])
    def activate(self, request: Request, **path: Any) -> Response:
        """From now on the thread is read on this branch, and goes on from its end."""
        body = Activation.parse(request)
        actor = self.acting
        thread = activate(
            actor=actor,
            thread=self.find_thread(actor),
            number=self._number(),
            now=self.now,
            interrupting=body.get("double_texting") == INTERRUPT,
        )
        return Response(BranchRepresentation(branches.told_of(thread=thread, number=thread.branch)).data)

    def _number(self) -> int:
        """The number in the path. Raises BranchNotFound for what cannot be one."""
        text = self.kwargs["number"]
        if not (text.isascii() and text.isdigit() and len(text) <= 4 and not text.startswith("0")):
            raise access.BranchNotFound
        return int(text)
