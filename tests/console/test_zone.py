"""Days of filters and times that are filled in are those of the reader, whose zone the console's script tells, as the
times in the rows are."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.threads import make, titles
from threadhub.console import zone
from threadhub.workspaces.models import ApiKey
from threads.activity import first_id_at
from threads.models import DailyActivity, Thread

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
    ("cookie", "day", "clock", "expires"),
    [
        (None, "2130-01-11", "12:00:00", "2130-01-11T12:00:00+00:00"),
        ("Pacific/Auckland", "2130-01-11", "12:00:00", "2130-01-10T23:00:00+00:00"),
        ("America/Los_Angeles", "2130-01-11", "12:00:00", "2130-01-11T20:00:00+00:00"),
        ("America/Los_Angeles", "2130-03-12", "02:30:00", None),  # clocks leave it out: summer begins
    ],
)
def test_the_end_of_a_key_is_filled_in_by_the_readers_clocks(
    cookie: str | None, day: str, clock: str, expires: str | None, console: Client, tenant: Tenant
) -> None:
    if cookie:
        console.cookies[zone.COOKIE] = cookie
    page = "/admin/workspaces/apikey/add/"
    assert f"By the clocks of {cookie or 'UTC'}." in console.get(page).content.decode()
    form = {"workspace": str(tenant.workspace.pk), "name": "server", "username": tenant.owner.username,
            "scopes": ["read"], "expires_at_0": day, "expires_at_1": clock}  # fmt: skip
    assert console.post(page, form).status_code == (302 if expires else 200)
    found = [each.isoformat() for each in ApiKey.objects.filter(name="server").values_list("expires_at", flat=True)]
    assert found == ([expires] if expires else [])
    assert timezone.get_current_timezone_name() == "UTC"


@pytest.mark.parametrize(("cookie", "begun"), [(None, 3), ("Pacific/Auckland", 1), ("America/Los_Angeles", 2)])
def test_today_is_the_readers_and_days_of_charts_say_that_they_are_not(
    cookie: str | None, begun: int, console: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is noon in UTC, nearly; in Auckland the day has just begun, in Los Angeles three hours ago."""
    now = datetime(2026, 1, 10, 11, 20, tzinfo=UTC)
    DailyActivity.objects.create(workspace=tenant.workspace, agent=tenant.agent, day=now.date(), threads=3)
    for hours in (0, 2, 7):
        moment = now - timedelta(hours=hours)
        Thread.objects.filter(pk=make(tenant, "One").pk).update(id=first_id_at(moment), created_at=moment)
    monkeypatch.setattr(timezone, "now", lambda: now)
    if cookie:
        console.cookies[zone.COOKIE] = cookie
    html = console.get("/admin/").content.decode()
    assert re.findall(r'"th-card-figure">([^<]+)</span>\s*<span>threads begun today', html) == [str(begun)]
    assert "<span>Dec 12</span><span>days in UTC</span><span>Jan 10</span>" in html
    assert "Threads begun, day by day, in UTC" in html


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
