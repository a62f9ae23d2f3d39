"""`/agents` and `/agents/{agent_id}`."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents import access, configure
from threadhub.agents.models import Agent
from threadhub.api.rest.filters import AgentFilter
from threadhub.api.rest.inputs.agents import AgentChange, NewAgent
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.agents import AgentRepresentation
from threadhub.api.rest.views.base import InThread
from threadhub.workspaces.permissions import Permission


class Agents(InThread):
    permissions = {
        "GET": Permission.AGENT_READ,
        "POST": Permission.AGENT_WRITE,
        "PATCH": Permission.AGENT_WRITE,
        "DELETE": Permission.AGENT_WRITE,
    }
    filterset_class = AgentFilter
    pagination_class = KeysetPagination

    def get_queryset(self) -> QuerySet[Agent]:
        return access.visible(actor=self.actor).prefetch_related("tools")

    @extend_schema(responses={200: AgentRepresentation(many=True)})
    def list(self, request: Request) -> Response:
        return self.page(self.get_queryset(), AgentRepresentation, actor=self.actor)

    @extend_schema(request=NewAgent, responses={201: AgentRepresentation})
    def create(self, request: Request) -> Response:
        agent = configure.create(actor=self.actor, **NewAgent.parse(request))
        headers = {"Location": f"/agents/{agent.wire_id}"}
        return Response(self._shown(agent), status=201, headers=headers)

    @extend_schema(responses={200: AgentRepresentation})
    def retrieve(self, request: Request, **path: Any) -> Response:
        return Response(self._shown(self._find()))

    @extend_schema(request=AgentChange(partial=True), responses={200: AgentRepresentation})
    def partial_update(self, request: Request, **path: Any) -> Response:
        fields = AgentChange.parse(request, partial=True)
        agent = configure.change(actor=self.actor, agent=self._find(), now=self.now, **fields)
        return Response(self._shown(agent))

    @extend_schema(responses={200: AgentRepresentation})
    def destroy(self, request: Request, **path: Any) -> Response:
        """Disables the agent, as PATCH with `active: false` does. Its threads stay readable."""
        agent = configure.change(actor=self.actor, agent=self._find(), now=self.now, active=False)
        return Response(self._shown(agent))

    def _find(self) -> Agent:
        return access.get(actor=self.actor, agent_id=self.agent_id)

    def _shown(self, agent: Agent) -> Any:
        return AgentRepresentation(agent, context={"actor": self.actor}).data
