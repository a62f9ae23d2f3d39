"""Which positions of a thread are on a branch. In PostgreSQL an `int4multirange`.

Every position is written once, while one branch is active, and a branch begins with the whole path of its parent up to
the fork. So whichever branches hold a position, below it they hold the same positions. That is what summaries and runs
rely on: what is true of a message's past is true on every branch that has the message.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import models
from psycopg.types.multirange import Multirange

Ends = tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class Path:
    """Ranges of positions, both ends included, in order and apart. The last of an active branch is open: (11, None)."""

    ranges: tuple[Ends, ...] = ()

    def __contains__(self, position: int) -> bool:
        return any(first <= position and (last is None or position <= last) for first, last in self.ranges)

    def __str__(self) -> str:
        """As PostgreSQL reads it: `{[1,4],[11,]}`."""
        ranges = (f"[{first},{'' if last is None else last}]" for first, last in self.ranges)
        return "{" + ",".join(ranges) + "}"

    @property
    def last(self) -> int | None:
        """The end of the path; None while it is open. 0 for a path without positions."""
        return self.ranges[-1][1] if self.ranges else 0

    @property
    def gaps(self) -> "Path":
        """What is left out before the path's last range: what other branches have there."""
        firsts = [first for first, _ in self.ranges]
        ends = [0, *(last for _, last in self.ranges if last is not None)]
        between = zip(ends, firsts, strict=False)
        return Path(tuple((end + 1, first - 1) for end, first in between if end + 1 < first))

    def until(self, position: int) -> "Path":
        """The part up to a position, that one included: what a fork shares, and what a branch keeps that is left."""
        return Path(tuple(_cut(self.ranges, position)))

    def going_on_from(self, position: int) -> "Path":
        """The path of a branch that becomes active: what comes from this position on is its own."""
        if self.ranges and self.ranges[-1][1] == position - 1:
            return Path((*self.ranges[:-1], (self.ranges[-1][0], None)))
        return Path((*self.ranges, (position, None)))

    def next_after(self, position: int) -> int | None:
        """The first position of the path beyond another; None at its end."""
        for first, last in self.ranges:
            if last is None or position < last:
                return max(first, position + 1)
        return None

    def last_before(self, position: int) -> int:
        """The last position of the path before another; 0 where there is none."""
        before = self.until(position - 1)
        return before.last or 0


WHOLE = Path(((1, None),))


def _cut(ranges: tuple[Ends, ...], position: int) -> Iterator[Ends]:
    for first, last in ranges:
        if first <= position:
            yield first, position if last is None else min(last, position)


class PathField(models.Field):  # type: ignore[type-arg]  # Django knows no parameters when it runs
    """A `Path`, or NULL."""

    def db_type(self, connection: Any) -> str:
        return "int4multirange"

    def get_placeholder(self, value: Any, compiler: Any, connection: Any) -> str:
        """psycopg sends texts; the column wants its own type."""
        return "%s::int4multirange"

    def get_prep_value(self, value: Any) -> str | None:
        return None if value is None else str(value)

    def from_db_value(self, value: Multirange[int] | None, expression: Any, connection: Any) -> Path | None:
        """PostgreSQL gives ranges without their upper end: [1,5) for 1 to 4."""
        if value is None:
            return None
        return Path(tuple((range.lower or 1, None if range.upper is None else range.upper - 1) for range in value))


class OnPath(models.Func):
    """`path @> position`, as a condition."""

    template = "%(expressions)s"
    arg_joiner = " @> "
    output_field = models.BooleanField()


def on_path(path: Path | models.F, position: int | None = None) -> OnPath:
    """The condition that a position, or the row's own, is on a path: a given one, or that of a column."""
    where = models.F("position") if position is None else models.Value(position, output_field=models.IntegerField())
    return OnPath(models.Value(path, output_field=PathField()) if isinstance(path, Path) else path, where)
