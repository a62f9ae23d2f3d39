"""Errors of the `ai` dialect: both keys that its clients read, `message` and `error`, and a stable code."""

from typing import Any

from django.http import HttpResponse

from threadhub.agents.provider_errors import ERRORS
from threadhub.api.problem import Problem
from threadhub.lib import json

UNAUTHORIZED = "Unauthorized"


def encode(problem: Problem, request_id: str) -> HttpResponse:
    """`{"error": …, "message": …, "code": …, "requestId": …}`; invalid input is 400 here, with its rows.

    A model service that failed adds `category` and `isRetryable`.
    """
    status = 400 if problem.status == 422 else problem.status
    message = _sentence(problem.errors[0]) if problem.errors else problem.message
    error = UNAUTHORIZED if status == 401 else message
    body: dict[str, Any] = {"error": error, "message": message, "code": problem.code, "requestId": request_id}
    if problem.errors:
        body["errors"] = problem.errors
    if problem.code in ERRORS:
        body |= {"category": "provider", "isRetryable": ERRORS[problem.code].retryable}
    return HttpResponse(json.dumps(body), status=status, content_type="application/json")


def _sentence(row: dict[str, Any]) -> str:
    """The fault, after the name of its field where it does not say it itself: its clients show nothing else."""
    message = str(row["msg"])
    place = ".".join(str(part) for part in row["loc"] if part != "body")
    field = str(row["loc"][-1]) if place else ""
    return message if field in message else f"{place}: {message}"
