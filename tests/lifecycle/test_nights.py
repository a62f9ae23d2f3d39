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


class TestWeekly:
    """The night to Monday."""

    @pytest.mark.parametrize("zone", ZONES)
    def test_every_week_has_one_whatever_its_clocks_do(self, zone: str) -> None:
        now, end = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 14, tzinfo=UTC)
        seen = set()
        while now < end:
            last = nights.start(now=now, zone=zone, weekly=True)
            following = nights.following(now=now, zone=zone, weekly=True)
            for moment in (last, following):
                there = moment.astimezone(ZoneInfo(zone))
                assert (there.weekday(), there.hour, there.minute) == (0, 3, 0)
            assert last <= now < following
            assert abs(following - last - timedelta(days=7)) <= timedelta(hours=1)
            seen |= {last, following}
            now += timedelta(hours=2, minutes=30)
        assert len(seen) == 56

    @pytest.mark.parametrize(
        ("zone", "night"),
        [
            ("Europe/Berlin", datetime(2025, 3, 24, 2, tzinfo=UTC)),
            ("Europe/Berlin", datetime(2025, 3, 31, 1, tzinfo=UTC)),  # the clocks went on the day before
            ("Europe/Berlin", datetime(2025, 10, 20, 1, tzinfo=UTC)),
            ("Europe/Berlin", datetime(2025, 10, 27, 2, tzinfo=UTC)),
            ("Europe/Istanbul", datetime(2014, 3, 31, 1, tzinfo=UTC)),  # a Monday that has no 3 o'clock
            ("Asia/Baghdad", datetime(2007, 9, 30, 23, tzinfo=UTC)),  # one that has it twice: the first
            ("Asia/Kolkata", datetime(2025, 7, 13, 21, 30, tzinfo=UTC)),  # Sunday evening elsewhere
            ("UTC", datetime(2024, 12, 30, 3, tzinfo=UTC)),
            ("UTC", datetime(2025, 1, 6, 3, tzinfo=UTC)),
        ],
    )
    def test_it_begins_to_the_microsecond(self, zone: str, night: datetime) -> None:
        before, tuesday = night - timedelta(microseconds=1), night + timedelta(days=1)
        assert nights.start(now=night, zone=zone, weekly=True) == night
        assert nights.start(now=tuesday, zone=zone, weekly=True) == night
        assert nights.start(now=before, zone=zone, weekly=True) < night - timedelta(days=6)
        assert nights.following(now=before, zone=zone, weekly=True) == night
        assert nights.following(now=night, zone=zone, weekly=True) > night + timedelta(days=6)

    def test_it_goes_over_the_end_of_a_year(self) -> None:
        new_year = datetime(2026, 1, 1, 12, tzinfo=UTC)
        assert nights.start(now=new_year, zone="UTC", weekly=True) == datetime(2025, 12, 29, 3, tzinfo=UTC)
        assert nights.following(now=new_year, zone="UTC", weekly=True) == datetime(2026, 1, 5, 3, tzinfo=UTC)
