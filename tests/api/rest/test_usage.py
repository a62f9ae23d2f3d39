"""What a workspace and its agents used."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.api.rest.conftest import fault, problem, same_404
from tests.conftest import Api, Tenant
from threadhub.agents import configure, usage
from threadhub.agents.models import Agent, DailyUsage
from threadhub.agents.prices import PriceTable
from threadhub.agents.usage import Amount
from threadhub.workspaces.models import User

pytestmark = pytest.mark.django_db
Purpose = DailyUsage.Purpose
DAYS = "date_from=2024-01-30&date_to=2024-02-01"


def used(agent: Agent, day: int, purpose: DailyUsage.Purpose = Purpose.ANSWER, **amount: Any) -> None:
    now = datetime(2024, 1, day, 12, tzinfo=UTC)
    usage.record(agent=agent, purpose=purpose, amount=Amount(**amount), now=now)


@pytest.fixture
def second(tenant: Tenant) -> Agent:
    """Another agent of the workspace; both have used something."""
    agent = configure.create(actor=tenant.actor, name="Second", provider="openai", model="m")
    used(tenant.agent, 29, input_tokens=1000, unpriced=1)  # the day before
    used(tenant.agent, 30, input_tokens=10, output_tokens=1, unpriced=1)
    used(tenant.agent, 31, input_tokens=20, output_tokens=2, unpriced=1)
    used(agent, 31, input_tokens=40, output_tokens=4, cached_tokens=30, cost=Decimal("0.000000000001"))
    used(agent, 31, input_tokens=5, output_tokens=5, purpose=Purpose.SUMMARY, cost=Decimal("1.5"))
    return agent


@pytest.mark.usefixtures("second")
def test_it_tells_days_and_their_total(api: Api, settings: Any, django_assert_num_queries: Any) -> None:
    settings.PRICES = PriceTable.parse('{"currency": "EUR", "prices": {}}')
    with django_assert_num_queries(3):  # the key with its user; the rows; the total
        body = api.get(f"/usage?{DAYS}").json()
    assert (body["currency"], body["date_from"], body["date_to"]) == ("EUR", "2024-01-30", "2024-02-01")
    assert body["total"] == {
        "count": 4,
        "input_tokens": 75,
        "output_tokens": 12,
        "cached_tokens": 30,
        "total_tokens": 87,
        "cost": "1.500000000001",
        "unpriced_calls": 2,
        "estimated_calls": 0,
    }
    assert [(row["day"], row["total_tokens"], row["cost"]) for row in body["rows"]] == [
        ("2024-01-30", 11, None),
        ("2024-01-31", 76, "1.500000000001"),
    ]
    assert "agent_id" not in body["rows"][0]


def test_rows_stand_for_what_is_asked(api: Api, tenant: Tenant, second: Agent) -> None:
    rows = api.get(f"/usage?{DAYS}&group_by=agent,purpose").json()["rows"]
    told = {(row["agent_id"], row["purpose"]): row["total_tokens"] for row in rows}
    assert told == {
        (tenant.agent.wire_id, "answer"): 33,
        (second.wire_id, "answer"): 44,
        (second.wire_id, "summary"): 10,
    }
    rows = api.get(f"/usage?{DAYS}&group_by=model").json()["rows"]
    assert [(row["provider"], row["model"], row["count"]) for row in rows] == [("echo", "", 2), ("openai", "m", 2)]
    rows = api.get(f"/usage?{DAYS}&group_by=day,agent,model,purpose").json()["rows"]
    assert len(rows) == 4


def test_it_tells_one_agent(api: Api, second: Agent) -> None:
    one = api.get(f"/agents/{second.wire_id}/usage?{DAYS}").json()
    assert one == api.get(f"/usage?agentId={second.wire_id}&{DAYS}").json()
    assert one["total"]["total_tokens"] == 54
    assert api.get(f"/usage?agentId=nonsense&{DAYS}").json()["total"]["count"] == 0


def test_without_dates_it_tells_the_last_days(api: Api) -> None:
    body = api.get("/usage").json()
    assert (body["rows"], body["total"]["total_tokens"], body["total"]["cost"]) == ([], 0, None)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("date_from=2024-02-30", "date_from"),
        ("date_to=2024-01-01T00:00:00Z", "date_to"),
        ("date_from=2024-02-02&date_to=2024-02-01", "date_from"),
        ("group_by=week", "group_by"),
        ("group_by=", "group_by"),
        ("agent=x", "agent"),
    ],
)
def test_nonsense_is_refused(api: Api, query: str, name: str) -> None:
    fault(api.get(f"/usage?{query}"), "query", name)


def test_only_owners_and_admins_see_it(
    api: Api, tenant: Tenant, alice: User, victor: User, as_user: Any, other_tenant: Tenant
) -> None:
    for path in ("/usage", f"/agents/{tenant.agent.wire_id}/usage"):
        assert as_user(tenant.owner).get(path).status_code == 200
        for person in (alice, victor):
            problem(as_user(person).get(path), 403, "permission_missing")
    foreign = api.get(f"/agents/{other_tenant.agent.wire_id}/usage")
    same_404(foreign, api.get("/agents/agent_01m80hajp3exg99n9xyqzfzfbj/usage"))


def test_nothing_of_another_workspace_is_in_it(api: Api, other_tenant: Tenant) -> None:
    used(other_tenant.agent, 30, input_tokens=10)
    assert api.get(f"/usage?{DAYS}").json()["total"]["count"] == 0
    assert api.get(f"/usage?{DAYS}&agentId={other_tenant.agent.wire_id}").json()["rows"] == []
