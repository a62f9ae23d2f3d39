"""The lines of the log about requests, and the id that all lines of a request have."""

import logging
import uuid

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponse, StreamingHttpResponse
from django_structlog.app_settings import app_settings
from django_structlog.middlewares import RequestMiddleware

logger = logging.getLogger("django_structlog.middlewares.request")


class RequestLog(RequestMiddleware):
    """The library's, which makes no line that nobody writes: below LOG_LEVEL a request costs its id only."""

    def prepare(self, request: HttpRequest) -> None:
        if logger.isEnabledFor(app_settings.STATUS_START_LOG_LEVEL):
            super().prepare(request)
        else:
            structlog.contextvars.bind_contextvars(request_id=str(uuid.uuid4()))

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        level = self._log_level_for_status_code(response.status_code)
        quiet = not logger.isEnabledFor(level) and not isinstance(response, StreamingHttpResponse)
        if quiet and not hasattr(request, "_raised_exception"):
            structlog.contextvars.clear_contextvars()
        else:
            super().handle_response(request, response)
