"""The chat page of an agent, and the script that puts the chat into other pages. Neither sets a cookie."""

from functools import cache

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from threadhub.agents import browsers
from threadhub.agents.access import AgentNotFound
from threadhub.agents.origins import normal_origin
from threadhub.chat import policy

WIDGET = "chat/widget.js"


@csrf_exempt
@require_safe
@xframe_options_exempt  # the policy's frame-ancestors says it, agent by agent
def page(request: HttpRequest, public_key: str) -> HttpResponse:
    """The chat page; 404, the same for each reason, where the agent has none at this address."""
    try:
        agent = browsers.with_page(public_key=public_key, origins=_own_origins(request))
    except AgentNotFound:
        return _guarded(render(request, "chat/missing.html", status=404), framed_by=[])
    return _guarded(render(request, "chat/page.html", {"agent": agent}), framed_by=["'self'", *agent.allowed_origins])


@csrf_exempt
@require_safe
def widget(request: HttpRequest) -> HttpResponse:
    """The script for other pages. It names its version by nothing: pages keep their one line for ever."""
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": "public, max-age=300",
    }
    return HttpResponse(_script(), content_type="text/javascript; charset=utf-8", headers=headers)


def _own_origins(request: HttpRequest) -> list[str]:
    """How a browser may spell the origin of this page. A proxy that ends TLS may not tell us which it is; what a
    session is opened with is the browser's own word in any case."""
    host = request.get_host()
    return [normal_origin(f"{scheme}://{host}") for scheme in ("http", "https")]


def _guarded(response: HttpResponse, *, framed_by: list[str]) -> HttpResponse:
    response["Content-Security-Policy"] = policy.of_page(framed_by=framed_by)
    response["Referrer-Policy"] = "same-origin"
    response["Cache-Control"] = "no-cache"
    return response


@cache
def _script() -> bytes:
    path = finders.find(WIDGET)
    assert isinstance(path, str)  # noqa: S101  it is in this package
    with open(path, "rb") as file:
        return file.read()
