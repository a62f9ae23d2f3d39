"""`/api/workspaces`: where the user belongs."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.ai.representations.accounts import WorkspaceObject
from threadhub.api.ai.views.viewset import AiViewSet
from threadhub.workspaces import workspaces


class Workspaces(AiViewSet):
    across_own_workspaces = True
    permissions: ClassVar[dict[str, Any]] = {"GET": None}

    @extend_schema(operation_id="ai_workspaces_list", responses=WorkspaceObject(many=True))
    def list(self, request: Request) -> Response:
        """The user's workspaces, those they joined first before the others; for an API token, its own."""
        places: Any = workspaces.memberships_of(actor=self.actor)
        return Response(WorkspaceObject(places, many=True).data)
