"""Pages of a thread's messages, by position."""

from rest_framework.request import Request

from threadhub.api.rest.pagination import address, read_order, read_take, whole_number
from threads.models import Message
from threads.querysets.messages import MessageQuerySet

LAST_POSITION = 2**31 - 1


class PositionPage:
    """The messages right `after` or right `before` a position, in the asked order; with both, the range between, from
    its beginning. Pages beside it are found by the positions at its ends. Raises Invalid."""

    def __init__(self, request: Request, messages: MessageQuerySet) -> None:
        self.request, self.messages = request, messages
        self.take, self.order = read_take(request), read_order(request, default="asc")
        self.after, self.before = read_position(request, "after"), read_position(request, "before")
        self.rows: list[Message] = []
        self.next: str | None = None
        self.previous: str | None = None
        if self.take:
            self._read()

    def _read(self) -> None:
        ahead, behind = ("after", "before") if self.order == "asc" else ("before", "after")
        given = {name for name in ("after", "before") if getattr(self, name) is not None}
        from_the_end = given == {behind}  # the page ends at its position, so it is read backwards
        descending = (self.order == "desc") != from_the_end
        rows = self._between().order_by("-position" if descending else "position").prefetch_related("attachments")
        found = list(rows[: self.take + 1])
        more, self.rows = len(found) > self.take, found[: self.take]
        if from_the_end:
            self.rows.reverse()
        if not self.rows:
            return
        first, last = self.rows[0].position, self.rows[-1].position
        if self._is_there(ahead, last) if from_the_end else more:
            far_end = {behind: str(getattr(self, behind))} if len(given) == 2 else {}
            self.next = address(self.request, **{ahead: str(last)}, **far_end)
        if more if from_the_end else given == {ahead} and self._is_there(behind, first):
            self.previous = address(self.request, **{behind: str(first)})

    def _between(self) -> MessageQuerySet:
        rows = self.messages
        if self.after is not None:
            rows = rows.after(self.after)
        return rows if self.before is None else rows.before(self.before)

    def _is_there(self, side: str, position: int) -> bool:
        """Whether there is a message on that side of a position."""
        beyond = self.messages.after(position) if side == "after" else self.messages.before(position)
        return beyond.exists()


def read_position(request: Request, name: str) -> int | None:
    """`after` or `before`; a number beyond any position counts as the last. Raises Invalid."""
    if name not in request.query_params:
        return None
    return min(whole_number(request, name, 0), LAST_POSITION)
