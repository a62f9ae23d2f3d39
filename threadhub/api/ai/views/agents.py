"""`/api/ai/agents`: the agents that can be asked."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents import access
from threadhub.agents.access import AgentNotFound
from threadhub.agents.models import Agent
from threadhub.api.ai.pagination import AgentPages
from threadhub.api.ai.representations.agents import AgentObject
from threadhub.api.ai.views.viewset import AiViewSet
from threadhub.api.views import path_id
from threadhub.workspaces.permissions import Permission


class Agents(AiViewSet):
    permissions: ClassVar[dict[str, Any]] = {"GET": Permission.AGENT_READ}
    wordings: ClassVar[dict[str, str]] = {"agent_not_found": "Agent not found"}
    queryset = Agent.objects.none()
    serializer_class = AgentObject
    pagination_class = AgentPages

    @extend_schema(operation_id="ai_agents_list", responses=AgentObject(many=True))
    def list(self, request: Request) -> Response:
        """The agents of the workspace, newest first, disabled ones included."""
        page: Any = self.paginate_queryset(access.visible(actor=self.actor).prefetch_related("tools"))
        return Response(AgentObject(page, many=True, context={"actor": self.actor}).data)

    @extend_schema(operation_id="ai_agents_get", responses=AgentObject)
    def retrieve(self, request: Request, agent_id: str) -> Response:
        """One agent."""
        agent = access.get(actor=self.actor, agent_id=path_id(Agent.PREFIX, agent_id, AgentNotFound))
        return Response(AgentObject(agent, context={"actor": self.actor}).data)
