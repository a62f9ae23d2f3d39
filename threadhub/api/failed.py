"""What went wrong with a request on the short way (threadhub/short_way.py), for the whole way to say."""

from typing import NamedTuple

from threadhub.limits.rates import Allowance
from threadhub.workspaces.actor import Actor

FAILED = "threadhub_failed"  # of a request


class Failed(NamedTuple):
    """An error, and how far the request had come: who asked (None: that was the error), what is left of their
    allowance, and the remarks that there were."""

    error: Exception
    actor: Actor | None
    allowance: Allowance | None
    remarks: list[str]
    request_id: str


def of(request: object) -> Failed | None:
    """What went wrong, if anything did."""
    failed: Failed | None = getattr(request, FAILED, None)
    return failed
