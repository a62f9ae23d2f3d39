"""What went wrong with a request on the short way (threadhub/short_way.py), for the whole way to say."""

from dataclasses import dataclass
from typing import NoReturn

from threadhub.lib import notices
from threadhub.limits.rates import Allowance
from threadhub.workspaces.actor import Actor

GONE_WRONG = "threadhub_gone_wrong"  # of Django's request


@dataclass(slots=True)
class GoneWrong:
    """An error, and how far the request had come: who asked (None: that was the error), what is left of their
    allowance, and the remarks that there were."""

    error: Exception | None
    actor: Actor | None
    allowance: Allowance | None
    remarks: list[str]
    request_id: str

    def raise_again(self) -> NoReturn:
        """Once: the error holds the request, and must not be held by it."""
        error, self.error = self.error, None
        assert error is not None  # noqa: S101
        for remark in self.remarks:
            notices.add(remark)
        try:
            raise error
        finally:
            del error


def of(request: object) -> GoneWrong | None:
    """What went wrong, if anything did."""
    gone_wrong: GoneWrong | None = getattr(request, GONE_WRONG, None)
    return gone_wrong
