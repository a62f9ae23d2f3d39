"""What every request goes through first: it begins with nothing to be seen, leaves nothing behind for the next, and
what its answer may do in a browser is said. And what only pages go through: the API knows neither sessions of browsers
nor users of Django."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponse, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from threadhub.api.dialect import dialect_of
from threadhub.isolation import scope
from threadhub.lib.client_address import is_trusted


@sync_and_async_middleware
def Nowhere(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], object]:
    """No workspace, until the request has said who it is."""
    if iscoroutinefunction(get_response):

        async def async_middleware(request: HttpRequest) -> HttpResponseBase:
            with scope.nowhere():
                response: HttpResponseBase = await get_response(request)
                return response

        return async_middleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with scope.nowhere():
            return get_response(request)

    return middleware


NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# Swagger UI, from our own files; it writes widths and icons into the page.
DOCS = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
EMPTY = (204, 304)  # no body, whose length could be said
PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


@sync_and_async_middleware
def Guarded(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], object]:
    """What a proxy says of TLS counts only where the proxy is trusted; and answers say what a browser may do with them.
    The console has a policy of its own (console/middleware.py)."""
    if iscoroutinefunction(get_response):

        async def async_middleware(request: HttpRequest) -> HttpResponseBase:
            _doubt(request)
            response: HttpResponseBase = await get_response(request)
            return _guarded(request, response)

        return async_middleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        _doubt(request)
        return _guarded(request, get_response(request))

    return middleware


def _doubt(request: HttpRequest) -> None:
    header = settings.SECURE_PROXY_SSL_HEADER
    if header and not is_trusted(request.META.get("REMOTE_ADDR", ""), settings.TRUSTED_PROXIES):
        request.META.pop(header[0], None)


def _guarded(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", DOCS if request.path == "/docs" else NOTHING)
    headers.setdefault("Permissions-Policy", PERMISSIONS)
    if isinstance(response, HttpResponse) and response.status_code not in EMPTY:
        headers.setdefault("Content-Length", str(len(response.content)))
    return response


class OnPages:
    """Before one of Django's: left out for whatever answers in JSON, where the whole list is gone through too."""

    get_response: Callable[[HttpRequest], Any]

    def __call__(self, request: HttpRequest) -> Any:
        if dialect_of(request.path) is None:
            return super().__call__(request)  # type: ignore[misc]  # Django's own is beside this one
        return self.get_response(request)


class Sessions(OnPages, SessionMiddleware):
    """`request.session`."""


class Users(OnPages, AuthenticationMiddleware):
    """`request.user`."""


class Messages(OnPages, MessageMiddleware):
    """What a page says once."""
