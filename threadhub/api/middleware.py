"""Errors that the framework answers by itself, before or around a view, in the dialect of their path."""

from collections.abc import Callable

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from threadhub.api import bounds, errors
from threadhub.api.dialect import dialect_of

IN_BOUNDS = "threadhub_in_bounds"  # of a request that was looked at
JSON_TYPES = ("application/json", "application/problem+json", "text/event-stream")


@sync_and_async_middleware
def ApiErrors(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], object]:
    """Refuse what is out of bounds, and replace Django's HTML for 400, 404, 405, 413 and 500 under API paths."""
    if iscoroutinefunction(get_response):

        async def async_middleware(request: HttpRequest) -> HttpResponseBase:
            return _refused(request) or _spelled(request, await get_response(request))

        return async_middleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return _refused(request) or _spelled(request, get_response(request))

    return middleware


def _refused(request: HttpRequest) -> HttpResponseBase | None:
    if IN_BOUNDS in vars(request):
        return None
    status = bounds.refusal(request)
    if status is None:
        vars(request)[IN_BOUNDS] = True
        return None
    return errors.render(request, errors.of_status(status))


def _spelled(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if dialect_of(request.path) is None:
        return response
    if response.status_code >= 400 and not response.get("Content-Type", "").startswith(JSON_TYPES):
        kept = {name: response[name] for name in ("Allow", "Retry-After") if name in response}
        kept["Cache-Control"] = "private, no-cache"
        replaced: HttpResponse = errors.render(request, errors.of_status(response.status_code, headers=kept))
        return replaced
    return response
