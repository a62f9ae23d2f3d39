"""Pages of a thread's messages, by position."""

from collections.abc import Callable
from typing import Any

from rest_framework.request import Request

from threadhub.api.rest.pagination import address, read_order, read_take, whole_number
from threads.querysets.messages import MessageQuerySet
from threads.whole_rows import Part

LAST_POSITION = 2**31 - 1

Read = Callable[[Part], list[Any]]  # in the order of positions


class PositionPage:
    """The messages right `after` or right `before` a position, in the asked order; with both, the range between, from
    its beginning. Pages beside it are found by the positions at its ends. Raises Invalid."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.take, self.order = read_take(request), read_order(request, default="asc")
        self.after, self.before = read_position(request, "after"), read_position(request, "before")
        self.rows: list[Any] = []
        self.next: str | None = None
        self.previous: str | None = None

    def fill(self, read: Read) -> None:
        """Read the rows, and what is beside them."""
        if not self.take:
            return
        ahead, behind = ("after", "before") if self.order == "asc" else ("before", "after")
        given = {name for name in ("after", "before") if getattr(self, name) is not None}
        from_the_end = given == {behind}  # the page ends at its position, so it is read backwards
        descending = (self.order == "desc") != from_the_end
        found = read(Part(after=self.after, before=self.before, limit=self.take + 1, last=descending))
        more = len(found) > self.take
        self.rows = found[-self.take :] if descending else found[: self.take]
        if self.order == "desc":
            self.rows.reverse()
        if not self.rows:
            return
        first, last = self.rows[0].position, self.rows[-1].position
        if _is_there(read, ahead, last) if from_the_end else more:
            far_end = {behind: str(getattr(self, behind))} if len(given) == 2 else {}
            self.next = address(self.request, **{ahead: str(last)}, **far_end)
        if more if from_the_end else given == {ahead} and _is_there(read, behind, first):
            self.previous = address(self.request, **{behind: str(first)})

    def envelope(self, count: int, data: Any) -> dict[str, Any]:
        """The page as it is answered; `count`: how many messages the branch has."""
        links = {"has_more": self.next is not None, "next": self.next, "previous": self.previous}
        return {"count": count, **links, "data": data}


def by_objects(messages: MessageQuerySet, part: Part) -> list[Any]:
    """The messages of a part, with their files."""
    if part.after is not None:
        messages = messages.after(part.after)
    if part.before is not None:
        messages = messages.before(part.before)
    rows = messages.order_by("-position" if part.last else "position").prefetch_related("attachments")
    found = list(rows[: part.limit])
    return found[::-1] if part.last else found


def _is_there(read: Read, side: str, position: int) -> bool:
    """Whether there is a message on that side of a position."""
    return bool(read(Part(after=position, limit=1) if side == "after" else Part(before=position, limit=1)))


def read_position(request: Request, name: str) -> int | None:
    """`after` or `before`; a number beyond any position counts as the last. Raises Invalid."""
    if name not in request.query_params:
        return None
    return min(whole_number(request, name, 0), LAST_POSITION)
