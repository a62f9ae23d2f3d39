"""`/workspaces` and `/workspaces/{workspace_id}`: where the one who asks belongs."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.inputs.access import WorkspaceChange
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.access import WorkspaceRepresentation
from threadhub.api.rest.views.base import RestViewSet
from threadhub.api.views import path_id
from threadhub.workspaces import workspaces
from threadhub.workspaces.models import Workspace
from threadhub.workspaces.permissions import Permission


class InWorkspace(RestViewSet):
    """A view under a workspace's path."""

    def find_workspace(self) -> Workspace:
        """The workspace that the path names, which must be the one that the actor acts in.

        Raises WorkspaceNotFound, OtherWorkspace.
        """
        found = path_id(Workspace.PREFIX, self.kwargs["workspace_id"], workspaces.WorkspaceNotFound)
        return workspaces.get_own(actor=self.actor, workspace_id=found)


class Workspaces(InWorkspace):
    across_own_workspaces = True
    permissions = {"GET": Permission.WORKSPACE_READ, "PATCH": Permission.SETTINGS_WRITE}
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

    @extend_schema(request=WorkspaceChange(partial=True), responses={200: WorkspaceRepresentation})
    def partial_update(self, request: Request, workspace_id: str) -> Response:
        """The policy of external_refs is an admin's to set, the name an owner's."""
        fields = WorkspaceChange.parse(request, partial=True)
        workspace = workspaces.change(actor=self.actor, workspace=self.find_workspace(), **fields)
        return Response(WorkspaceRepresentation(workspace).data)
