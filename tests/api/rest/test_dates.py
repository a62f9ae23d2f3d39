"""What `date_from` and `date_to` mean: decision 8 of the wire."""

from datetime import UTC, datetime, timedelta

import pytest

from threadhub.api.rest import dates


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("2024-01-31T10:30", datetime(2024, 1, 31, 10, 30, tzinfo=UTC)),
        ("2024-01-31 10:30:15", datetime(2024, 1, 31, 10, 30, 15, tzinfo=UTC)),
        ("2024-01-31T10:30:15.5Z", datetime(2024, 1, 31, 10, 30, 15, 500000, tzinfo=UTC)),
        ("2024-01-31t10:30:15z", datetime(2024, 1, 31, 10, 30, 15, tzinfo=UTC)),
        ("2024-01-31T10:30:15.1234567Z", datetime(2024, 1, 31, 10, 30, 15, 123456, tzinfo=UTC)),
        ("2024-01-31T10:30:00+02:00", datetime(2024, 1, 31, 8, 30, tzinfo=UTC)),
        ("2024-01-31T00:30:00+0100", datetime(2024, 1, 30, 23, 30, tzinfo=UTC)),
        ("2024-01-31T23:30:00-05:30", datetime(2024, 2, 1, 5, 0, tzinfo=UTC)),
        ("0001-01-01", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_start_reads_dates_and_times_as_utc(text: str, moment: datetime) -> None:
    assert dates.start(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2024",
        "2024-01",
        "2024-1-1",
        "20240101",
        "2023-02-29",
        "2024-13-01",
        "2024-00-10",
        "2024-01-31T24:00",
        "2024-01-31T10:60",
        "2024-01-31T10:30:60Z",
        "2024-01-31T10",
        "2024-01-31T10:30:00+25:00",
        "2024-01-31T10:30:00+02:60",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-01:00",
        "２０２４-01-01",
        "2024-01-01\n",
        " 2024-01-01",
    ],
)
def test_what_is_no_date_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(dates.NotADate, match=r"^(This must be a date|There is no such)"):
        dates.start(text)


@pytest.mark.parametrize("text", ["2024-01-31T10:30:00 02:00", "2024-01-31T10:30 0200", "2024-01-31T10:30:00.5 02:00"])
def test_a_plus_that_arrived_as_a_space_is_explained(text: str) -> None:
    with pytest.raises(dates.NotADate, match="%2B"):
        dates.end(text)


def test_a_bare_date_ends_with_its_day() -> None:
    assert dates.end("2024-01-31") == dates.End(datetime(2024, 2, 1, tzinfo=UTC), inclusive=False)
    assert dates.end("2024-02-28") == dates.End(datetime(2024, 2, 29, tzinfo=UTC), inclusive=False)
    assert dates.end("9999-12-31") == dates.End(datetime.max.replace(tzinfo=UTC), inclusive=True)


def test_a_time_ends_at_that_very_moment() -> None:
    assert dates.end("2024-01-31T10:30Z") == dates.End(datetime(2024, 1, 31, 10, 30, tzinfo=UTC), inclusive=True)


def test_a_range_is_empty_only_when_nothing_can_be_in_it() -> None:
    day = datetime(2024, 1, 31, tzinfo=UTC)
    tick = timedelta(microseconds=1)
    assert not dates.is_empty(day, dates.end("2024-01-31"))
    assert not dates.is_empty(day + timedelta(days=1) - tick, dates.end("2024-01-31"))
    assert dates.is_empty(day + timedelta(days=1), dates.end("2024-01-31"))
    assert not dates.is_empty(day, dates.end("2024-01-31T00:00Z"))
    assert dates.is_empty(day + tick, dates.end("2024-01-31T00:00Z"))
