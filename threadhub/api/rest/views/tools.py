"""`/tools`: what `enabled_tools` and an agent's `tools` may name."""

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents import access
from threadhub.api.rest.representations.agents import ToolRepresentation
from threadhub.api.rest.views.base import RestViewSet
from threadhub.workspaces.permissions import Permission


@extend_schema_serializer(many=False)
class ToolList(serializers.Serializer[object]):
    count = serializers.IntegerField(read_only=True)
    data = ToolRepresentation(many=True, read_only=True)  # type: ignore[assignment]


class Tools(RestViewSet):
    permissions = {"GET": Permission.AGENT_READ}

    @extend_schema(responses={200: ToolList})
    def list(self, request: Request) -> Response:
        """All of the workspace, by name."""
        tools = ToolRepresentation(access.visible_tools(actor=self.actor), many=True).data
        return Response({"count": len(tools), "data": tools})
