"""Counting requests, and saying so: `RateLimit` and `RateLimit-Policy` as in draft-ietf-httpapi-ratelimit-headers."""

from typing import Any

from django.http.response import HttpResponseBase

from threadhub import audit
from threadhub.limits import rates, subjects
from threadhub.limits.rates import Allowance
from threadhub.limits.subjects import MINUTE
from threadhub.workspaces.actor import Actor

HEADERS = ("RateLimit-Policy", "RateLimit")


def count(actor: Any) -> Allowance | None:
    """Count one request of `actor`, or where that is nobody of the address it comes from."""
    if isinstance(actor, Actor):
        return rates.spend(subjects.of_actor(actor))
    return rates.spend(subjects.of_address(audit.origin.get().address))


def show(response: HttpResponseBase, allowance: Allowance) -> None:
    """Say on an answer where its asker stands."""
    response.headers["RateLimit-Policy"] = f'"{allowance.policy}";q={allowance.quota};w={MINUTE}'
    response.headers["RateLimit"] = f'"{allowance.policy}";r={allowance.left};t={allowance.reset}'


def carry_over(source: HttpResponseBase, target: HttpResponseBase) -> None:
    """From the answer that stood for a run to the one that tells of it."""
    for name in HEADERS:
        if name in source.headers:
            target.headers.setdefault(name, source.headers[name])
