"""The front page's charts."""

from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import signed_in
from threadhub.agents.models import DailyUsage
from threadhub.workspaces.models import User
from threads.models import DailyActivity


def day(ago: int = 0) -> Any:
    return timezone.now().astimezone(UTC).date() - timedelta(days=ago)


def happened(tenant: Tenant, ago: int, **numbers: Any) -> None:
    DailyActivity.objects.create(workspace=tenant.workspace, agent=tenant.agent, day=day(ago), **numbers)


@pytest.fixture
def month(tenant: Tenant) -> None:
    happened(tenant, 0, threads=7, messages=1_234, answers=90, failures=10, times={"20": 50, "30": 40},
             faults={"openai/provider_timeout": 10})  # fmt: skip
    happened(tenant, 29, threads=2)
    happened(tenant, 30, threads=999_999)  # too long ago
    DailyUsage.objects.create(
        workspace=tenant.workspace, agent=tenant.agent, day=day(), provider="openai", purpose="answer", cost=Decimal(2)
    )


@pytest.mark.usefixtures("month")
def test_it_tells_thirty_days(console: Client) -> None:
    html = console.get("/admin/").content.decode()
    assert "999,999" not in html
    for told in (
        f"{day():%b} {day().day}: 7 threads",
        "1,234 messages",
        "90 answers, 10 failed",
        "10.0% more failed",
        "1 agent<",
        "openai: provider_timeout",
        "half within 4.3 s, 95 % within 40 s",
        "worker",
    ):
        assert told in html, told


@pytest.mark.usefixtures("month")
def test_staff_see_their_own_workspaces_only(olivia: User, other_tenant: Tenant) -> None:
    happened(other_tenant, 0, threads=55_555, answers=1, times={"1": 1}, faults={"openai/strange": 1})
    html = signed_in(olivia).get("/admin/").content.decode()
    assert "7 threads" in html
    assert "55,5" not in html
    assert "strange" not in html
    assert "Queue:" not in html  # is of the whole installation


def test_it_says_so_where_there_is_nothing(console: Client, tenant: Tenant) -> None:
    html = console.get("/admin/").content.decode()
    assert html.count("Nothing in the last 30 days.") == 6
    assert "No answer failed." in html


def test_it_reads_days_and_no_messages(console: Client, tenant: Tenant) -> None:
    for ago in range(30):
        happened(tenant, ago, threads=1, messages=1, answers=1, times={"5": 1}, faults={"echo/x": 1})
    console.get("/admin/")
    with CaptureQueriesContext(connection) as queries:
        console.get("/admin/")
    assert len(queries) <= 20
    assert not [each["sql"] for each in queries if "threads_message" in each["sql"]]
