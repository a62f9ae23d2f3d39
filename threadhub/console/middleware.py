"""What every request of the console goes through: the rows its staff may see, their time zone, and the
Content-Security-Policy."""

from collections.abc import Callable

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.decorators import sync_and_async_middleware

from threadhub.console import rights, zone

PREFIX = "/admin/"

# No inline script and nothing from elsewhere. 'unsafe-eval' is for Alpine, which unfold's menus are written with: it
# compiles the expressions of x-… attributes. Inline style is for the widths and colours that unfold writes into pages.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)


@sync_and_async_middleware
def StaffScope(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], object]:
    """Staff see the rows of their own workspaces; superusers go through the console's door. What they fill in as a time
    is one of their clocks."""
    if iscoroutinefunction(get_response):
        return get_response  # the console's pages are synchronous

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(PREFIX):
            return get_response(request)
        rights.enter(request)
        with timezone.override(zone.of(request)):
            return get_response(request)

    return middleware


@sync_and_async_middleware
def ContentSecurityPolicy(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], object]:
    """Set the policy on every answer under /admin/ that has none of its own, and keep the pages out of caches."""
    if iscoroutinefunction(get_response):

        async def async_middleware(request: HttpRequest) -> HttpResponseBase:
            return _guarded(request, await get_response(request))

        return async_middleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return _guarded(request, get_response(request))

    return middleware


def _guarded(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if request.path.startswith(PREFIX):
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Cache-Control", "private, no-cache")
        response.headers.setdefault("Referrer-Policy", "same-origin")
    return response
