"""`/usage`, the workspace's, and `/agents/{agent_id}/usage`."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents import access
from threadhub.agents.models import Agent
from threadhub.agents.usage_report import GROUPS, report
from threadhub.api.rest.filters import an_id
from threadhub.api.rest.representations.usage import UsageReport, counted
from threadhub.api.rest.views.base import InThread
from threadhub.lib.errors import Invalid
from threadhub.workspaces.permissions import Permission

DAYS = 30  # that are told of where nobody says which
PARAMETERS = [
    OpenApiParameter("date_from", date, description=f"First day (UTC); {DAYS} days up to the last one by default."),
    OpenApiParameter("date_to", date, description="Last day (UTC), included; today by default."),
    OpenApiParameter(
        "group_by", str, default="day", description=f"One or more of {', '.join(GROUPS)}, with commas between."
    ),
]
AGENT = OpenApiParameter("agentId", str, description="Of this agent only.")


class WorkspaceUsage(InThread):
    """Tokens and money by day: those of threads that were deleted since, too."""

    permissions = {"GET": Permission.USAGE_READ}
    query = {"retrieve": ("agentId", "date_from", "date_to", "group_by")}

    @extend_schema(parameters=[AGENT, *PARAMETERS], responses={200: UsageReport})
    def retrieve(self, request: Request, **path: Any) -> Response:
        text = request.query_params.get("agentId")
        return self._report(request, an_id(Agent.PREFIX)(text) if text is not None else None)

    def _report(self, request: Request, agent_id: UUID | None) -> Response:
        last = read_day(request, "date_to") or self.now.date()
        first = read_day(request, "date_from") or last - timedelta(days=min(DAYS - 1, (last - date.min).days))
        if first > last:
            raise Invalid.at("query", "date_from", msg="date_from must not be after date_to.")
        groups = read_groups(request)
        told = report(actor=self.actor, first=first, last=last, agent_id=agent_id, group_by=groups)
        body = {
            "currency": settings.PRICES.currency,
            "date_from": first.isoformat(),
            "date_to": last.isoformat(),
            "total": counted(told.total),
            "rows": [counted(row) for row in told.rows],
        }
        return Response(UsageReport(body).data)


class AgentUsage(WorkspaceUsage):
    """Of one agent."""

    query = {"retrieve": ("date_from", "date_to", "group_by")}

    @extend_schema(parameters=PARAMETERS, responses={200: UsageReport})
    def retrieve(self, request: Request, **path: Any) -> Response:
        return self._report(request, access.get(actor=self.actor, agent_id=self.agent_id).pk)


def read_day(request: Request, name: str) -> date | None:
    """A day; usage is kept by the day, so a time of day would mean nothing. Raises Invalid."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        if len(text) != len("2024-01-31"):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError as error:
        raise Invalid.at("query", name, msg="This must be a day such as 2024-01-31.") from error


def read_groups(request: Request) -> list[str]:
    """What each row stands for. Raises Invalid."""
    groups = list(dict.fromkeys(request.query_params.get("group_by", "day").split(",")))
    if not set(groups) <= set(GROUPS):
        raise Invalid.at("query", "group_by", msg=f"This must be one or more of: {', '.join(GROUPS)}.")
    return groups
