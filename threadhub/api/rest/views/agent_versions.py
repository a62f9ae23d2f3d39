"""`/agents/{agent_id}/versions[/{number}[/restore]]`: how an agent answered, and going back to that."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents import access, configure, versions
from threadhub.agents.models import Agent
from threadhub.api.rest.inputs.threads import NothingSent
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.agent_versions import AgentVersionRepresentation
from threadhub.api.rest.representations.agents import AgentRepresentation
from threadhub.api.rest.views.base import InThread
from threadhub.workspaces.permissions import Permission

NUMBER = OpenApiParameter("number", OpenApiTypes.INT, OpenApiParameter.PATH)
MOST_DIGITS = 9


class AgentVersions(InThread):
    permissions = {"GET": Permission.AGENT_WRITE, "POST": Permission.AGENT_WRITE}
    pagination_class = KeysetPagination

    @extend_schema(responses={200: AgentVersionRepresentation(many=True)})
    def list(self, request: Request, **path: Any) -> Response:
        """Newest first; the first of them is how the agent answers now."""
        return self.page(versions.of_agent(actor=self.actor, agent=self._agent()), AgentVersionRepresentation)

    @extend_schema(responses={200: AgentVersionRepresentation}, parameters=[NUMBER])
    def retrieve(self, request: Request, **path: Any) -> Response:
        version = versions.get(actor=self.actor, agent=self._agent(), number=self._number())
        return Response(AgentVersionRepresentation(version).data)

    @extend_schema(request=NothingSent, responses={200: AgentRepresentation}, parameters=[NUMBER])
    def restore(self, request: Request, **path: Any) -> Response:
        """The agent answers as in this version again, which becomes a new version. Tools that are gone stay gone."""
        NothingSent.parse(request)
        agent = configure.go_back(actor=self.actor, agent=self._agent(), number=self._number(), now=self.now)
        return Response(AgentRepresentation(agent, context={"actor": self.actor}).data)

    def _agent(self) -> Agent:
        return access.get(actor=self.actor, agent_id=self.agent_id)

    def _number(self) -> int:
        """The number in the path. Raises VersionNotFound for what cannot be one."""
        text = self.kwargs["number"]
        if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS and not text.startswith("0")):
            raise versions.VersionNotFound
        return int(text)
