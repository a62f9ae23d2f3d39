"""An agent's history in the console: what was changed when and by whom, and going back to how it answered then."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from threadhub.agents import configure, versions
from threadhub.agents.models import Agent, AgentVersion
from threadhub.console import agent_changes, agent_timeline, rights
from threadhub.console.base import ConsoleAdmin
from threadhub.lib.errors import DomainError
from threadhub.workspaces.permissions import Permission

MOST_DIGITS = 9


class HistoryPages(ConsoleAdmin):
    """For the admin of agents: takes the place of Django's own history."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.version_view)
        return [path("<str:object_id>/history/<str:number>/", view, name="agents_agent_version"), *super().get_urls()]

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        """Versions and other changes, newest first; `?p=` a cursor for older ones."""
        agent = self._agent(request, object_id)
        cursor = request.GET.get("p", "")
        page = agent_timeline.page(
            actor=self.acting(request, agent), agent=agent, cursor=cursor if cursor.startswith("o") else None
        )
        return self._page(request, agent, "console/agent_history.html", f"History of {agent.name}", {"page": page})

    def version_view(self, request: HttpRequest, object_id: str, number: str) -> HttpResponseBase:
        """What going back to this version would change, and what it would not (GET), and going back (POST)."""
        agent = self._agent(request, object_id)
        actor = self.acting(request, agent)
        try:
            version = versions.get(actor=actor, agent=agent, number=_number(number) or 0)
        except versions.VersionNotFound as error:
            raise Http404 from error
        if request.method == "POST":
            return self._go_back(request, agent, version)
        now = versions.values_of(agent)
        then = {**version.values, versions.TOOLS: sorted(str(tool.pk) for tool in versions.tools_of(version))}
        more = {
            "version": version,
            "author": agent_timeline.author_of(version),
            "differences": agent_changes.between(now, then, agent_changes.tool_names(agent, (now, then))),
            "missing_tools": len(set(version.values[versions.TOOLS]) - set(then[versions.TOOLS])),
            "staying": agent_timeline.changed_since(actor=actor, agent=agent, version=version),
            "seen": versions.newest(agent=agent),
        }
        return self._page(
            request, agent, "console/agent_version.html", f"Version {version.number} of {agent.name}", more
        )

    def _go_back(self, request: HttpRequest, agent: Agent, version: AgentVersion) -> HttpResponseBase:
        """What the page said, or nothing: not where there is a newer version than it knew."""
        actor, seen = self.acting(request, agent), _number(request.POST.get("seen", "")) or 0  # 0: no page
        try:
            configure.go_back(actor=actor, agent=agent, number=version.number, now=timezone.now(), seen=seen)
        except DomainError as error:
            messages.error(request, _told(error))
            return redirect(request.path)
        self.log_change(request, agent, [{"changed": {"fields": [f"version {version.number}"]}}])
        messages.success(request, f"“{agent.name}” answers as in version {version.number} again.")
        return redirect("admin:agents_agent_history", agent.wire_id)

    def _page(
        self, request: HttpRequest, agent: Agent, template: str, title: str, more: dict[str, Any]
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "agent": agent,
            "object": agent,
            "back": self.address_of(agent),
            "history_url": reverse("admin:agents_agent_history", args=(agent.wire_id,)),
            **more,
        }
        return TemplateResponse(request, template, context)

    def _agent(self, request: HttpRequest, object_id: str) -> Agent:
        agent: Agent | None = self.thing(request, object_id)
        if agent is None:
            raise Http404
        if not rights.of(request).may(Permission.AGENT_WRITE, agent.workspace_id):
            raise PermissionDenied
        return agent


def _told(error: DomainError) -> str:
    rows = getattr(error, "errors", [])
    return " ".join([error.message, *(str(row["msg"]) for row in rows)])


def _number(text: str) -> int | None:
    """What people's addresses name, if it can be one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None
