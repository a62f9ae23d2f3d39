"""Counting requests, and saying so: `RateLimit` and `RateLimit-Policy` as in draft-ietf-httpapi-ratelimit-headers."""

import weakref
from typing import Any

from django.http.response import HttpResponseBase

from threadhub import audit
from threadhub.limits import rates, streams, subjects
from threadhub.limits.rates import Allowance
from threadhub.limits.streams import Place
from threadhub.limits.subjects import MINUTE
from threadhub.workspaces.actor import Actor

AWAITED = "answer_is_awaited"  # of a Django request: it may take long (api/streaming.py)
PLACE = "stream_place"
HEADERS = ("RateLimit-Policy", "RateLimit")


def count(actor: Any) -> Allowance | None:
    """Count one request of `actor`, or where that is nobody of the address it comes from."""
    if isinstance(actor, Actor):
        return rates.spend(subjects.of_actor(actor))
    return rates.spend(subjects.of_address(audit.origin.get().address))


def take_place(actor: Actor) -> Place:
    """For an answer that is waited for. Raises TooManyStreams."""
    return streams.take(subjects.of_streams(actor, audit.origin.get().address))


def give_place(response: HttpResponseBase, place: Place) -> None:
    """The place is the answer's from now on: free when it is closed, or dropped before it began."""
    vars(response)[PLACE] = place
    vars(response)["_resource_closers"].append(place.release)
    weakref.finalize(response, place.release)


def leave_place(response: HttpResponseBase) -> None:
    """For an answer that another one takes the place of."""
    place: Place | None = vars(response).get(PLACE)
    if place is not None:
        place.release()


def show(response: HttpResponseBase, allowance: Allowance) -> None:
    """Say on an answer where its asker stands."""
    response.headers["RateLimit-Policy"] = f'"{allowance.policy}";q={allowance.quota};w={MINUTE}'
    response.headers["RateLimit"] = f'"{allowance.policy}";r={allowance.left};t={allowance.reset}'


def carry_over(source: HttpResponseBase, target: HttpResponseBase) -> None:
    """From the answer that stood for a run to the one that tells of it."""
    for name in HEADERS:
        if name in source.headers:
            target.headers.setdefault(name, source.headers[name])
