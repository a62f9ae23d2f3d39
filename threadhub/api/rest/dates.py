"""Dates in filters: what `date_from` and `date_to` mean.

A bare date is the whole day in UTC, so as an end it includes that day. A time without an offset is UTC. The moments
are exact to the microsecond, as PostgreSQL keeps them; further digits are cut off.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
MOMENT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
    r"(?:(?P<utc>Z)|(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2}))?",
    re.ASCII | re.IGNORECASE,
)
LOST_PLUS = re.compile(r".*:\d{2}(?:[.,]\d+)? \d{2}:?\d{2}", re.ASCII)


class NotADate(ValueError):
    """The text is no date; the message says what to send."""


@dataclass(frozen=True, slots=True)
class End:
    """Where a range ends: `moment` itself is in, or everything before it only."""

    moment: datetime
    inclusive: bool


def start(text: str) -> datetime:
    """The first moment that `text` means, in UTC. Raises NotADate."""
    return _day(text) or _moment(text)


def end(text: str) -> End:
    """The last moment that `text` means: a bare date runs to the end of that day. Raises NotADate."""
    day = _day(text)
    if day is None:
        return End(_moment(text), inclusive=True)
    if day.date() == datetime.max.date():
        return End(datetime.max.replace(tzinfo=UTC), inclusive=True)
    return End(day + timedelta(days=1), inclusive=False)


def is_empty(first: datetime, last: End) -> bool:
    """Whether no moment can be in the range."""
    return first > last.moment if last.inclusive else first >= last.moment


def _day(text: str) -> datetime | None:
    match = DAY.fullmatch(text)
    if match is None:
        return None
    try:
        return datetime(int(match[1]), int(match[2]), int(match[3]), tzinfo=UTC)
    except ValueError as error:
        raise NotADate(f"There is no such day: {text}.") from error


def _moment(text: str) -> datetime:
    match = MOMENT.fullmatch(text)
    if match is None:
        if LOST_PLUS.fullmatch(text):
            raise NotADate("The '+' of the offset arrived as a space: send it as %2B in a URL.")
        raise NotADate("This must be a date such as 2024-01-31, or a time such as 2024-01-31T10:30:00Z.")
    day = _day(match[1])
    assert day is not None  # noqa: S101  MOMENT begins with what DAY is
    fraction = (match[5] or "").ljust(6, "0")[:6]
    try:
        local = day.replace(
            hour=int(match[2]),
            minute=int(match[3]),
            second=int(match[4] or 0),
            microsecond=int(fraction),
            tzinfo=_offset(match),
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise NotADate(f"There is no such time: {text}.") from error


def _offset(match: re.Match[str]) -> timezone:
    if match["sign"] is None:
        return UTC
    if int(match["minutes"]) > 59:
        raise ValueError("an offset has at most 59 minutes")
    size = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
    return timezone(-size if match["sign"] == "-" else size)
