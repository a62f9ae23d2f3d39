"""Errors of the `ai` dialect: both keys that its clients read, `message` and `error`, and a stable code."""

from django.http import HttpResponse

from threadhub.api.problem import Problem
from threadhub.lib import json


def encode(problem: Problem, request_id: str) -> HttpResponse:
    """`{"error": …, "message": …, "code": …, "requestId": …}`; invalid input is 400 here, with its rows."""
    status = 400 if problem.status == 422 else problem.status
    message = problem.errors[0]["msg"] if problem.errors else problem.message
    body = {"error": message, "message": message, "code": problem.code, "requestId": request_id}
    if problem.errors:
        body["errors"] = problem.errors
    return HttpResponse(json.dumps(body), status=status, content_type="application/json")
