"""From what went wrong to an answer: the status is decided here, the body by the dialect."""

import logging
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from psycopg_pool import PoolTimeout
from rest_framework import exceptions as drf

from threadhub.agents.provider_errors import ProviderError
from threadhub.api import brevity
from threadhub.api.ai import errors as ai
from threadhub.api.dialect import dialect_of
from threadhub.api.problem import Problem
from threadhub.api.rest import errors as rest
from threadhub.lib import errors as domain
from threads.lifecycle import holds

logger = logging.getLogger(__name__)

# The first that fits decides; subclasses before their bases.
DOMAIN_STATUS: tuple[tuple[type[domain.DomainError], int], ...] = (
    (domain.Unauthenticated, 401),
    (domain.Forbidden, 403),
    (domain.NotFound, 404),
    (domain.Conflict, 409),
    (domain.TooLarge, 413),
    (domain.Invalid, 422),
    (domain.Held, 423),
    (domain.Exhausted, 429),
    (domain.Failed, 502),
)
PROVIDER_STATUS = {
    "provider_rate_limited": 503,
    "provider_timeout": 504,
    "time_limit": 504,
    "worker_lost": 503,
    "worker_stopped": 503,
    "not_taken": 503,
    "not_answered": 504,
    "provider_request_invalid": 502,
    "context_length_exceeded": 422,
    "provider_refused": 422,
    "budget_exceeded": 429,
}
FRAMEWORK_CODES = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "too_large",
    414: "address_too_long",
    415: "unsupported_media_type",
    429: "rate_limited",
    431: "headers_too_large",
    500: "internal_error",
    503: "unavailable",
}
SENTENCES = {
    400: "The request could not be understood.",
    404: "There is nothing at this address.",
    405: "This address does not answer to this method.",
    413: "The request is larger than allowed.",
    414: "The address is longer than allowed.",
    415: "A body must be JSON in UTF-8, not compressed.",
    431: "The headers are larger than allowed.",
    500: "Something went wrong on our side. It has been noted.",
    503: "The service is not available right now. Please try again.",
}
RETRY_AFTER_SECONDS = 2


def handle(error: Exception, context: dict[str, Any]) -> HttpResponse:
    """DRF's exception handler: every error under an API path is JSON of its dialect."""
    return answer(context["request"], error)


def answer(request: Any, error: Exception) -> HttpResponse:
    """The answer to an error raised anywhere while serving `request` (Django's or DRF's)."""
    problem = problem_of(error)
    if problem.status == 500:
        logger.error("unexpected error", exc_info=error)
    return render(request, problem)


def render(request: HttpRequest, problem: Problem) -> HttpResponse:
    """A problem in the dialect of the request's path."""
    encode = ai.encode if dialect_of(request.path) == "ai" else rest.encode
    problem = brevity.shortened(problem)
    response = encode(problem, request_id())
    while len(response.content) > brevity.MAX_BYTES and problem.errors:
        problem = brevity.with_fewer_rows(problem)
        response = encode(problem, request_id())
    for name, value in problem.headers.items():
        response[name] = value
    return response


def before_request(path: str, status: int) -> HttpResponse:
    """For what cannot be made a request of."""
    request = HttpRequest()
    request.path = path
    return render(request, of_status(status))


def problem_of(error: Exception) -> Problem:
    """What any exception is to the outside."""
    match error:
        case domain.DomainError():
            status = next(status for kind, status in DOMAIN_STATUS if isinstance(error, kind))
            rows = error.errors if isinstance(error, domain.Invalid) else []
            headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
            if isinstance(error, domain.Exhausted):
                headers["Retry-After"] = str(error.retry_after)
            return Problem(status, error.code, error.message, rows, headers)
        case ProviderError():
            return failed_run(error.code, error.message)
        case drf.APIException():
            return _drf_problem(error)
        case Http404():
            return of_status(404)
        case PermissionDenied():
            return of_status(403)
        case RequestDataTooBig():
            return of_status(413)
        case SuspiciousOperation():
            return of_status(400)
        case IntegrityError() if _refused_by_hold(error):
            return Problem(423, holds.ThreadHeld.code, holds.ThreadHeld().message)
        case OperationalError() | InterfaceError() | PoolTimeout():
            logger.warning("the database is not available: %s", error)
            return of_status(503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    return of_status(500)


def _refused_by_hold(error: IntegrityError) -> bool:
    """Whether the database itself kept a held thread from being removed."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None) == "thread_held"


def failed_run(code: str, message: str) -> Problem:
    """A run that failed before anything of it was sent."""
    status = PROVIDER_STATUS.get(code, 500 if code == "internal_error" else 502)
    return Problem(status, code, message)


def of_status(status: int, headers: dict[str, str] | None = None) -> Problem:
    """What the framework says by a status alone."""
    code = FRAMEWORK_CODES.get(status, "error")
    return Problem(status, code, SENTENCES.get(status, "The request was refused."), headers=headers or {})


def request_id() -> str:
    """The id under which the logs know this request."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def _drf_problem(error: drf.APIException) -> Problem:
    headers: dict[str, str] = {}
    wait = getattr(error, "wait", None)  # of Throttled, in seconds
    if wait is not None:
        headers["Retry-After"] = str(max(1, round(wait)))
    if isinstance(error, drf.NotAuthenticated | drf.AuthenticationFailed):
        headers["WWW-Authenticate"] = "Bearer"
        return Problem(401, "unauthenticated", str(error.detail), headers=headers)
    if isinstance(error, drf.ValidationError):
        return Problem(422, "invalid", "The input is not valid.", _rows(error.detail, ("body",)))
    code = FRAMEWORK_CODES.get(error.status_code, "error")
    return Problem(error.status_code, code, str(error.detail), headers=headers)


def _rows(detail: Any, loc: tuple[str | int, ...]) -> list[dict[str, Any]]:
    """DRF's nested error lists as flat rows of {loc, msg, type}."""
    if isinstance(detail, dict):
        return [row for key, value in detail.items() for row in _rows(value, _within(loc, key))]
    if isinstance(detail, list):
        return [
            row
            for index, value in enumerate(detail)
            for row in _rows(value, (*loc, index) if isinstance(value, dict | list) else loc)
        ]
    return [{"loc": list(loc), "msg": str(detail), "type": getattr(detail, "code", None) or "value_error"}]


def _within(loc: tuple[str | int, ...], key: str) -> tuple[str | int, ...]:
    return loc if key == "non_field_errors" else (*loc, key)
