"""From where a web request comes, for the audit trail and whatever else asks (`audit.origin.get()`)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from threadhub import audit
from threadhub.api.dialect import dialect_of
from threadhub.lib import notices
from threadhub.lib.client_address import client_address

WARNING = "Threadhub-Warning"


@sync_and_async_middleware
def SetOrigin(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], object]:
    """Set `audit.origin` while a request is answered."""
    if iscoroutinefunction(get_response):

        async def async_middleware(request: HttpRequest) -> HttpResponseBase:
            with _set(request) as remarks:
                answer: HttpResponseBase = await get_response(request)
            return _remarked(answer, remarks)

        return async_middleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with _set(request) as remarks:
            answer = get_response(request)
        return _remarked(answer, remarks)

    return middleware


@contextmanager
def _set(request: HttpRequest) -> Iterator[list[str]]:
    origin = origin_of(request)
    structlog.contextvars.bind_contextvars(ip=origin.address)  # cleared with the request's id
    before = audit.origin.set(origin)
    try:
        yield notices.collect()
    finally:
        audit.origin.reset(before)


def _remarked(answer: HttpResponseBase, remarks: list[str]) -> HttpResponseBase:
    if remarks:
        answer.headers[WARNING] = ", ".join(remarks)
    return answer


def origin_of(request: HttpRequest) -> audit.Origin:
    return audit.Origin(
        face=dialect_of(request.path) or "console",
        address=client_address(
            peer=request.META.get("REMOTE_ADDR", ""),
            forwarded_for=request.headers.get("X-Forwarded-For", ""),
            trusted=settings.TRUSTED_PROXIES,
        ),
        user_agent=request.headers.get("User-Agent", ""),
        request_id=str(structlog.contextvars.get_contextvars().get("request_id", "")),
    )
