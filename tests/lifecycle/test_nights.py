"""A workspace's night begins at three in its own time zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from threads.lifecycle import nights

ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Pacific/Chatham", "UTC"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("month", [1, 7])
@pytest.mark.parametrize("hour", range(0, 24, 5))
def test_it_is_three_there(zone: str, month: int, hour: int) -> None:
    now = datetime(2025, month, 15, hour, 17, tzinfo=UTC)
    last, following = nights.start(now=now, zone=zone), nights.following(now=now, zone=zone)
    for moment in (last, following):
        there = moment.astimezone(ZoneInfo(zone))
        assert (there.hour, there.minute) == (3, 0)
    assert last <= now < following == last + timedelta(days=1)


@pytest.mark.parametrize(
    ("zone", "night"),
    [
        ("Europe/Berlin", datetime(2025, 7, 15, 1, tzinfo=UTC)),
        ("America/New_York", datetime(2025, 7, 15, 7, tzinfo=UTC)),
        ("Asia/Kolkata", datetime(2025, 7, 14, 21, 30, tzinfo=UTC)),
        ("UTC", datetime(2025, 7, 15, 3, tzinfo=UTC)),
    ],
)
def test_so_each_zone_has_its_own(zone: str, night: datetime) -> None:
    assert nights.start(now=datetime(2025, 7, 15, 12, tzinfo=UTC), zone=zone) == night
    assert nights.start(now=night, zone=zone) == night
    assert nights.start(now=night - timedelta(microseconds=1), zone=zone) == night - timedelta(days=1)
