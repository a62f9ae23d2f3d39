"""`/tools` and `/tools/{tool_id}`: what `enabled_tools` and an agent's `tools` may name."""

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents import access, toolbox
from threadhub.agents.models import Tool
from threadhub.api.rest.inputs.tools import NewTool, ToolChange
from threadhub.api.rest.representations.agents import ToolRepresentation
from threadhub.api.rest.views.base import RestViewSet
from threadhub.api.views import path_id
from threadhub.workspaces.permissions import Permission


@extend_schema_serializer(many=False)
class ToolList(serializers.Serializer[object]):
    count = serializers.IntegerField(read_only=True)
    data = ToolRepresentation(many=True, read_only=True)  # type: ignore[assignment]


class Tools(RestViewSet):
    permissions = {
        "GET": Permission.AGENT_READ,
        "POST": Permission.AGENT_WRITE,
        "PATCH": Permission.AGENT_WRITE,
        "DELETE": Permission.AGENT_WRITE,
    }

    @extend_schema(responses={200: ToolList})
    def list(self, request: Request) -> Response:
        """By name: those of the agents that one may have; all for whoever may change agents."""
        tools = ToolRepresentation(access.visible_tools(actor=self.actor), many=True).data
        return Response({"count": len(tools), "data": tools})

    @extend_schema(request=NewTool, responses={201: ToolRepresentation})
    def create(self, request: Request) -> Response:
        tool = toolbox.create(actor=self.actor, **NewTool.parse(request))
        headers = {"Location": f"/tools/{tool.wire_id}"}
        return Response(ToolRepresentation(tool).data, status=201, headers=headers)

    @extend_schema(responses={200: ToolRepresentation})
    def retrieve(self, request: Request, tool_id: str) -> Response:
        return Response(ToolRepresentation(self._find(tool_id)).data)

    @extend_schema(request=ToolChange(partial=True), responses={200: ToolRepresentation})
    def partial_update(self, request: Request, tool_id: str) -> Response:
        fields = ToolChange.parse(request, partial=True)
        return Response(ToolRepresentation(toolbox.change(actor=self.actor, tool=self._find(tool_id), **fields)).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, tool_id: str) -> Response:
        """Every agent that has the tool loses it."""
        toolbox.remove(actor=self.actor, tool=self._find(tool_id), now=self.now)
        return Response(status=204)

    def _find(self, tool_id: str) -> Tool:
        return toolbox.get(actor=self.actor, tool_id=path_id(Tool.PREFIX, tool_id, toolbox.ToolNotFound))
