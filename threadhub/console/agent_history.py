"""An agent's history in the console: what was changed when and by whom, and going back to how it answered then."""

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
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
from threadhub.console import display, identities, rights
from threadhub.console.base import ConsoleAdmin
from threadhub.lib.errors import DomainError
from threadhub.workspaces.permissions import Permission

PAGE = 20
MOST_DIGITS = 9
LONGEST_LINE = 500  # characters shown of a line that changed
MOST_LINES = 400
TITLES = {
    "max_output_tokens": "Output tokens at most",
    "context_budget": "Context budget",
    "max_steps": "Steps at most",
    "max_seconds": "Seconds at most",
    "max_run_tokens": "Tokens of a run at most",
    "max_run_cost": "Cost of a run at most",
    "titles": "Names threads",
    "double_texting": "Double-texting",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs: its name for people, and lines as `("-", old)`, `("+", new)`, `(" ", both)`."""

    title: str
    lines: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A version in the list, with what it changed."""

    version: AgentVersion
    author: str
    differences: list[Difference]


class HistoryPages(ConsoleAdmin):
    """For the admin of agents: takes the place of Django's own history."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.version_view)
        return [path("<str:object_id>/history/<str:number>/", view, name="agents_agent_version"), *super().get_urls()]

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        """The versions, newest first; `?before=` a number for older ones."""
        agent = self._agent(request, object_id)
        found = versions.of_agent(actor=self.acting(request, agent), agent=agent)
        before = _number(request.GET.get("before", ""))
        rows = list((found.filter(number__lt=before) if before else found)[: PAGE + 1])
        identities.tell(rows, ("author",))
        told = [_entry(row, earlier) for row, earlier in zip(rows, [*rows[1:], None], strict=False)][:PAGE]
        more = {"entries": told, "older": told[-1].version.number if len(rows) > PAGE else None, "is_first": not before}
        return self._page(request, agent, "console/agent_history.html", f"History of {agent.name}", more)

    def version_view(self, request: HttpRequest, object_id: str, number: str) -> HttpResponseBase:
        """What going back to this version would change (GET), and going back (POST)."""
        agent = self._agent(request, object_id)
        actor = self.acting(request, agent)
        try:
            version = versions.get(actor=actor, agent=agent, number=_number(number) or 0)
        except versions.VersionNotFound as error:
            raise Http404 from error
        if request.method == "POST":
            try:
                configure.go_back(actor=actor, agent=agent, number=version.number, now=timezone.now())
            except DomainError as error:
                messages.error(request, _told(error))
                return redirect(request.path)
            self.log_change(request, agent, [{"changed": {"fields": [f"version {version.number}"]}}])
            messages.success(request, f"“{agent.name}” answers as in version {version.number} again.")
            return redirect("admin:agents_agent_history", agent.wire_id)
        there = {str(tool.pk) for tool in versions.tools_of(version)}
        more = {
            "version": version,
            "author": _author(version),
            "differences": differences(versions.values_of(agent), version.values),
            "missing_tools": len(set(version.values[versions.TOOLS]) - there),
        }
        return self._page(
            request, agent, "console/agent_version.html", f"Version {version.number} of {agent.name}", more
        )

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


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[Difference]:
    """What differs between two versions' values, in the order of the names."""
    return [
        Difference(TITLES.get(name, name.replace("_", " ").capitalize()), list(_lines(old.get(name), new.get(name))))
        for name in (*versions.KEPT, versions.TOOLS)
        if old.get(name) != new.get(name)
    ]


def _entry(version: AgentVersion, earlier: AgentVersion | None) -> Entry:
    return Entry(version, _author(version), differences(earlier.values, version.values) if earlier else [])


def _author(version: AgentVersion) -> str:
    return identities.told(version, "author") if version.author else "before there was history"


def _lines(old: Any, new: Any) -> Iterator[tuple[str, str]]:
    """Line by line, the changed ones and one of those around them."""
    before, after = _spelled(old).splitlines(), _spelled(new).splitlines()
    shown = 0
    for line in difflib.unified_diff(before, after, n=1, lineterm=""):
        if line.startswith(("---", "+++")) and shown < 2:  # the head of a unified diff
            shown += 1
            continue
        if line.startswith("@@"):
            continue
        shown += 1
        if shown > MOST_LINES:
            yield " ", "…"
            return
        yield line[0], display.shortened(line[1:], LONGEST_LINE)


def _spelled(value: Any) -> str:
    if value is None or value == "":
        return "–"
    return value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False)


def _told(error: DomainError) -> str:
    rows = getattr(error, "errors", [])
    return " ".join([error.message, *(str(row["msg"]) for row in rows)])


def _number(text: str) -> int | None:
    """What people's addresses name, if it can be one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else None
