"""The reader's time zone: in which the console's script spells times (and says so in a cookie), days of filters begin
and end, and times are filled in."""

from datetime import UTC, date, datetime, time, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import HttpRequest

COOKIE = "th_zone"  # console.js sets it
LONGEST = 64


def of(request: HttpRequest) -> tzinfo:
    """The zone whose name came along; UTC for none and for what is no zone, as times are spelled without a script."""
    name = request.COOKIES.get(COOKIE, "")
    try:
        return ZoneInfo(name) if 0 < len(name) <= LONGEST else UTC
    except (ValueError, OSError, ZoneInfoNotFoundError):  # `../x`, a directory of zones, and what is nowhere
        return UTC


def midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins there, in UTC; where its clocks skip midnight, when they do."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def today(now: datetime, zone: tzinfo) -> datetime:
    """When the day of `now` began there, in UTC."""
    return midnight(now.astimezone(zone).date(), zone)
