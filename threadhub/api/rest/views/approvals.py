"""`/approvals` and `/approvals/{approval_id}[/approve|/refuse]`: calls of tools that a person must approve."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.filters import ApprovalFilter
from threadhub.api.rest.inputs.approvals import Refusal
from threadhub.api.rest.inputs.threads import NothingSent
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.approvals import ApprovalRepresentation
from threadhub.api.rest.views.base import RestViewSet
from threadhub.api.views import path_id
from threadhub.workspaces.permissions import Permission
from threads import reading
from threads.actions import approvals
from threads.models import ToolApproval


class Approvals(RestViewSet):
    permissions = {"GET": Permission.THREAD_READ, "POST": Permission.TOOL_APPROVE}
    filterset_class = ApprovalFilter
    pagination_class = KeysetPagination

    def get_queryset(self) -> QuerySet[ToolApproval]:
        return approvals.visible(actor=self.actor)

    @extend_schema(responses={200: ApprovalRepresentation(many=True)})
    def list(self, request: Request) -> Response:
        """Of all threads that one may see."""
        rows = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        reading.note_found(actor=self.actor, thread_ids=[row.thread_id for row in rows])
        return self.get_paginated_response(ApprovalRepresentation(rows, many=True).data)

    @extend_schema(responses={200: ApprovalRepresentation})
    def retrieve(self, request: Request, approval_id: str) -> Response:
        approval = self._find()
        reading.note_found(actor=self.actor, thread_ids=[approval.thread_id])
        return Response(ApprovalRepresentation(approval).data)

    @extend_schema(request=NothingSent, responses={200: ApprovalRepresentation})
    def approve(self, request: Request, approval_id: str) -> Response:
        """The call is made, once. The run goes on in the background when nothing more is to be decided."""
        NothingSent.parse(request)
        decided = approvals.approve(actor=self.actor, approval=self._find(), now=self.now)
        return Response(ApprovalRepresentation(decided).data)

    @extend_schema(request=Refusal, responses={200: ApprovalRepresentation})
    def refuse(self, request: Request, approval_id: str) -> Response:
        """The call is not made, and the model is told so."""
        reason = Refusal.parse(request).get("reason") or ""
        decided = approvals.refuse(actor=self.actor, approval=self._find(), now=self.now, reason=reason)
        return Response(ApprovalRepresentation(decided).data)

    def _find(self) -> ToolApproval:
        approval_id = path_id(ToolApproval.PREFIX, self.kwargs["approval_id"], approvals.ApprovalNotFound)
        return approvals.get(actor=self.actor, approval_id=approval_id)
