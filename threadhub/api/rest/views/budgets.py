"""`/budget`, the workspace's, and `/agents/{agent_id}/budget`."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents import access, budgets
from threadhub.agents.models import Agent
from threadhub.api.rest.inputs.budgets import BudgetInput
from threadhub.api.rest.representations.budgets import BudgetRepresentation, budget
from threadhub.api.rest.views.base import InThread
from threadhub.workspaces.permissions import Permission


class WorkspaceBudget(InThread):
    """What all agents of the workspace may use together."""

    permissions = {"GET": Permission.USAGE_READ, "PUT": Permission.AGENT_WRITE}

    @extend_schema(responses={200: BudgetRepresentation})
    def retrieve(self, request: Request, **path: Any) -> Response:
        return Response(self._shown(self._agent()))

    @extend_schema(request=BudgetInput, responses={200: BudgetRepresentation})
    def replace(self, request: Request, **path: Any) -> Response:
        """Sets both periods. Runs that are under way go on."""
        agent = self._agent()
        budgets.replace(actor=self.actor, agent=agent, limits=BudgetInput.parse(request))
        return Response(self._shown(agent))

    def _agent(self) -> Agent | None:
        return None

    def _shown(self, agent: Agent | None) -> Any:
        return budget(budgets.of(actor=self.actor, agent=agent, now=self.now), self.now)


class AgentBudget(WorkspaceBudget):
    """What one agent may use."""

    permissions = {"GET": Permission.USAGE_READ, "PUT": Permission.AGENT_WRITE}

    def _agent(self) -> Agent:
        return access.get(actor=self.actor, agent_id=self.agent_id)
