"""The lines of the log about requests, and the id that all lines of a request have."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, cast

import structlog
import uuid_utils
from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponse, StreamingHttpResponse
from django_structlog.app_settings import app_settings
from django_structlog.middlewares import RequestMiddleware

from threadhub.api import gone_wrong

logger = logging.getLogger("django_structlog.middlewares.request")


def new_id() -> str:
    """A request's, made without a call of the system."""
    return str(uuid_utils.uuid4())


def is_quiet() -> bool:
    """Whether nobody writes a line of a request that was answered as it should be."""
    return not logger.isEnabledFor(app_settings.STATUS_START_LOG_LEVEL)


class RequestLog(RequestMiddleware):
    """The library's, which makes no line that nobody writes: below LOG_LEVEL a request costs its id only."""

    def __init__(self, get_response: Any) -> None:
        super().__init__(get_response)
        self.asynchronous = iscoroutinefunction(get_response)

    def __call__(self, request: HttpRequest) -> Any:
        """As the library's, which asks each time which of the two it is."""
        if self.asynchronous:
            return self.__acall__(request)
        self.prepare(request)
        response = cast("HttpResponse", self.get_response(request))
        self.handle_response(request, response)
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponse:
        """As the library's, whose hops into a thread are for users that are looked up; those of the API are known."""
        self.prepare(request)
        try:
            response: HttpResponse = await cast("Awaitable[HttpResponse]", self.get_response(request))
        except asyncio.CancelledError:
            logger.log(app_settings.REQUEST_CANCELLED_LOG_LEVEL, "request_cancelled")
            raise
        self.handle_response(request, response)
        return response

    def prepare(self, request: HttpRequest) -> None:
        if is_quiet():
            before = gone_wrong.of(request)
            structlog.contextvars.bind_contextvars(request_id=before.request_id if before else new_id())
        else:
            super().prepare(request)

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        level = self._log_level_for_status_code(response.status_code)
        quiet = not logger.isEnabledFor(level) and not isinstance(response, StreamingHttpResponse)
        if quiet and not hasattr(request, "_raised_exception"):
            structlog.contextvars.clear_contextvars()
        else:
            super().handle_response(request, response)
