"""Days of filters are those of the reader, whose zone the console's script tells, as the times in the rows are."""

from datetime import UTC, datetime

import pytest
from django.test import Client, RequestFactory

from tests.conftest import Tenant
from tests.console.threads import make, titles
from threadhub.console import zone
from threads.models import Thread

# When threads were begun: in Auckland (UTC+13) and in Los Angeles (UTC-8) other days than in UTC.
BEGUN = {
    "Before noon": datetime(2026, 1, 10, 10, 59, 59, 999_999, UTC),
    "At noon": datetime(2026, 1, 10, 11, 0, tzinfo=UTC),
    "At night": datetime(2026, 1, 11, 7, 59, 59, 999_999, UTC),
    "Next morning": datetime(2026, 1, 11, 11, 0, tzinfo=UTC),
}
DAY = {"from": "2026-01-11", "to": "2026-01-11"}


@pytest.mark.parametrize("column", ["created", "active"])
@pytest.mark.parametrize(
    ("cookie", "found"),
    [
        (None, {"At night", "Next morning"}),
        ("Pacific/Auckland", {"At noon", "At night"}),
        ("America/Los_Angeles", {"Next morning"}),
        ("Mars/Base", {"At night", "Next morning"}),
    ],
)
def test_a_day_is_the_readers(
    column: str, cookie: str | None, found: set[str], console: Client, tenant: Tenant
) -> None:
    for title, moment in BEGUN.items():
        Thread.objects.filter(pk=make(tenant, title).pk).update(created_at=moment)
    if cookie:
        console.cookies[zone.COOKIE] = cookie
    query = {f"{column}_{end}": day for end, day in DAY.items()}
    assert set(titles(console, **query)) == found


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "/etc/passwd", "America", "Mars/Base", "x" * 5_000, "\x00", "Europe/Röm", "."]
)
def test_what_is_no_zone_is_utc(name: str) -> None:
    request = RequestFactory().get("/")
    request.COOKIES[zone.COOKIE] = name
    assert zone.of(request) is UTC


@pytest.mark.parametrize(
    ("day", "name", "begins"),
    [
        ("2026-03-29", "Europe/Rome", "2026-03-28T23:00:00+00:00"),  # the day on which summer begins
        ("2026-03-30", "Europe/Rome", "2026-03-29T22:00:00+00:00"),
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00+00:00"),  # it has no midnight
        ("2018-11-05", "America/Sao_Paulo", "2018-11-05T02:00:00+00:00"),
        ("2024-02-29", "Asia/Kathmandu", "2024-02-28T18:15:00+00:00"),
    ],
)
def test_a_day_begins_when_its_clocks_say(day: str, name: str, begins: str) -> None:
    request = RequestFactory().get("/")
    request.COOKIES[zone.COOKIE] = name
    assert zone.midnight(datetime.fromisoformat(day).date(), zone.of(request)).isoformat() == begins
