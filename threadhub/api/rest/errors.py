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
        "detail": _sentence(problem.errors) if problem.errors else problem.message,
        "code": problem.code,
        "request_id": request_id,
        **problem.details,
    }
    if problem.errors:
        body["errors"] = problem.errors
    return HttpResponse(json.dumps(body), status=problem.status, content_type="application/problem+json")


def _sentence(rows: list[dict[str, Any]]) -> str:
    """The first fault with its place, for clients that show nothing but `detail`."""
    place = ".".join(str(part) for part in rows[0]["loc"])
    others = f" (and {len(rows) - 1} more)" if len(rows) > 1 else ""
    return f"{place}: {rows[0]['msg']}{others}"
