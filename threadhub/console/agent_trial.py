"""Trying an agent beside its form: the form's values, saved or not, and a real answer that streams."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseNotAllowed, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from threadhub.agents import trial
from threadhub.agents.events import Finished, TextDelta, ToolCall, Usage
from threadhub.agents.models import Agent
from threadhub.agents.provider_errors import ProviderError
from threadhub.agents.trial import Trial
from threadhub.console import rights
from threadhub.console.base import ConsoleAdmin
from threadhub.lib.errors import DomainError
from threadhub.workspaces.permissions import Permission

MOST_CHARACTERS = 200_000


class TrialPages(ConsoleAdmin):
    """For the admin of agents: the panel beside the form, and what it asks."""

    change_form_outer_after_template = "console/agent_trial.html"

    class Media:
        js = ("console/trial.js",)

    def get_urls(self) -> list[URLPattern]:
        """That of a new agent first: `add` is nobody's id."""
        view, view_of_new = self.admin_site.admin_view(self.trial_view), self.admin_site.admin_view(self.new_trial_view)
        return [
            path("add/try/", view_of_new, name="agents_agent_add_try"),
            path("<str:object_id>/try/", view, name="agents_agent_try"),
            *super().get_urls(),
        ]

    def trial_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """POST: the form as it stands, and `said`, JSON of [role, text] pairs. Answers events, or faults (422)."""
        agent: Agent | None = self.thing(request, object_id)
        if agent is None:
            raise Http404
        if not rights.of(request).may(Permission.AGENT_WRITE, agent.workspace_id):
            raise PermissionDenied
        return self._tried(request, agent)

    def new_trial_view(self, request: HttpRequest) -> HttpResponseBase:
        """The same of the form for a new agent, which has no row: which workspace it would be of stands in the form."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        return self._tried(request, None)

    def _tried(self, request: HttpRequest, agent: Agent | None) -> HttpResponseBase:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        data = MultiValueDict(dict(request.POST.lists()))
        data.pop("seen", None)  # nothing is saved
        form = self.get_form(request, agent, change=agent is not None)(data, request.FILES, instance=agent)
        if not form.is_valid():
            return _refused(
                [f"{_label(form, name)}: {message}" for name, found in form.errors.items() for message in found]
            )
        said = _said(request.POST.get("said", ""))
        if said is None:
            return _refused(["The conversation cannot be read."])
        try:
            begun = trial.begin(
                actor=self.acting(request, form.instance),
                agent=form.instance,
                tools=form.cleaned_data["its_tools"],
                said=said,
                now=timezone.now(),
                saved=agent is not None,
            )
        except DomainError as error:
            return _refused([error.message])
        response = StreamingHttpResponse(_frames(begun), content_type="text/event-stream; charset=utf-8")
        response["Cache-Control"] = "no-store, no-transform"
        response["X-Accel-Buffering"] = "no"
        return response


async def _frames(begun: Trial) -> AsyncIterator[bytes]:
    """One JSON object an event: `text`, `tool` with `arguments`, `tokens`, at last `end` or `error`."""
    try:
        async with aclosing(begun.events()) as events:
            async for event in events:
                match event:
                    case TextDelta(text):
                        yield _frame(text=text)
                    case ToolCall(_, name, arguments):
                        yield _frame(tool=name, arguments=arguments)
                    case Usage() if event.counted:
                        yield _frame(tokens=event.input_tokens + event.output_tokens)
                    case Finished(reason):
                        yield _frame(end=reason)
    except ProviderError as error:
        yield _frame(error=error.message, code=error.code)


def _frame(**fields: Any) -> bytes:
    return f"data: {json.dumps(fields)}\n\n".encode()


def _refused(sentences: list[str]) -> JsonResponse:
    return JsonResponse({"errors": sentences}, status=422)


def _label(form: Any, name: str) -> str:
    return str(form.fields[name].label or name) if name in form.fields else "The form"


def _said(text: str) -> list[tuple[str, str]] | None:
    """None for what cannot be read."""
    if len(text) > MOST_CHARACTERS or "\x00" in text or "\\u0000" in text:
        return None
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(rows, list):
        return None
    pairs = [tuple(row) for row in rows if isinstance(row, list) and len(row) == 2]
    if len(pairs) != len(rows) or not all(isinstance(part, str) for pair in pairs for part in pair):
        return None
    return [(role, said) for role, said in pairs]
