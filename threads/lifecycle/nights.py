"""Whose night it is: the hours of a workspace's sweeps, by its time zone."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

HOUR = 3  # from then on in the workspace's time zone; on a night that has no such hour, the one after
MONDAY = 0  # as `weekday()` counts: whose night a weekly sweep is in
DAYS = 9  # so many days have any weekday's night before and after now


def start(*, now: datetime, zone: str, weekly: bool = False) -> datetime:
    """The last HOUR o'clock in the zone, at or before now; weekly: of a Monday. One per calendar day, however long the
    day is: on the day that skips or repeats an hour this is still one moment."""
    return next(moment for moment in _moments(now, zone, weekly, step=-1) if moment <= now)


def following(*, now: datetime, zone: str, weekly: bool = False) -> datetime:
    """The next HOUR o'clock in the zone, after now; weekly: of a Monday."""
    return next(moment for moment in _moments(now, zone, weekly, step=1) if moment > now)


def _moments(now: datetime, zone: str, weekly: bool, *, step: int) -> Iterator[datetime]:
    """From today there, day by day to one side."""
    there = ZoneInfo(zone)
    today = now.astimezone(there).date()
    for day in (today + timedelta(days=step * away) for away in range(DAYS)):
        if not weekly or day.weekday() == MONDAY:
            yield datetime(day.year, day.month, day.day, HOUR, tzinfo=there).astimezone(now.tzinfo)
