"""`/workspaces` and `/workspaces/{workspace_id}`: where the one who asks belongs."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.api.rest.views.base import RestViewSet
from threadhub.api.views import path_id
from threadhub.workspaces import workspaces
from threadhub.workspaces.models import Workspace
from threadhub.workspaces.permissions import Permission


class WorkspaceRepresentation(serializers.Serializer[Any]):
    id = WireId(Workspace.PREFIX)
    name = serializers.CharField(read_only=True)
    created_at = moment()


class Workspaces(RestViewSet):
    across_own_workspaces = True
    permissions = {"GET": Permission.WORKSPACE_READ}
    pagination_class = KeysetPagination

    def get_queryset(self) -> QuerySet[Workspace]:
        return workspaces.visible(actor=self.actor)

    @extend_schema(responses={200: WorkspaceRepresentation(many=True)})
    def list(self, request: Request) -> Response:
        """A person's are all that they are a member of; a key has one."""
        return self.page(self.get_queryset(), WorkspaceRepresentation)

    @extend_schema(responses={200: WorkspaceRepresentation})
    def retrieve(self, request: Request, workspace_id: str) -> Response:
        found = path_id(Workspace.PREFIX, workspace_id, workspaces.WorkspaceNotFound)
        return Response(WorkspaceRepresentation(workspaces.get(actor=self.actor, workspace_id=found)).data)
