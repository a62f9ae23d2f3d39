"""Whose night it is: the hours of a workspace's daily sweep, by its time zone."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

HOUR = 3  # from then on in the workspace's time zone; on a night that has no such hour, the one after


def start(*, now: datetime, zone: str) -> datetime:
    """The last HOUR o'clock in the zone, at or before now. One per calendar day, however long the day is: on the day
    that skips or repeats an hour this is still one moment."""
    there = ZoneInfo(zone)
    local = now.astimezone(there)
    for day in (local.date(), local.date() - timedelta(days=1)):
        moment = datetime(day.year, day.month, day.day, HOUR, tzinfo=there).astimezone(now.tzinfo)
        if moment <= now:
            return moment
    raise ValueError("a day has more than 24 hours")  # pragma: no cover


def following(*, now: datetime, zone: str) -> datetime:
    """The next HOUR o'clock in the zone, after now."""
    there = ZoneInfo(zone)
    today = now.astimezone(there).date()
    moments = (
        datetime(day.year, day.month, day.day, HOUR, tzinfo=there).astimezone(now.tzinfo)
        for day in (today + timedelta(days=after) for after in range(3))
    )
    return next(moment for moment in moments if moment > now)
