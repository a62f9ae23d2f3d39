"""Errors of the `rest` dialect: problem details as in RFC 9457, with the rows of invalid input."""

from http import HTTPStatus
from typing import Any

from django.http import HttpResponse

from threadhub.api.problem import Problem
from threadhub.lib import json


def encode(problem: Problem, request_id: str) -> HttpResponse:
    """`application/problem+json` with type, title, status, detail, code, request_id, and errors where input is bad."""
    body: dict[str, Any] = {
        "type": f"urn:threadhub:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.message,
        "code": problem.code,
        "request_id": request_id,
    }
    if problem.errors:
        body["errors"] = problem.errors
    return HttpResponse(json.dumps(body), status=problem.status, content_type="application/problem+json")
