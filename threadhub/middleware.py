"""Every request begins with nothing to be seen, and leaves nothing behind for the next."""

from collections.abc import Callable

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from threadhub.isolation import scope


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
