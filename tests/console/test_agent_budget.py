"""Budgets on the page of an agent and of a workspace: what is used and left, and setting them."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant, make_user
from tests.console.conftest import signed_in
from tests.console.test_agent_pages import form_of
from threadhub.agents import budgets, configure, usage
from threadhub.agents.models import Budget, DailyUsage
from threadhub.agents.prices import PriceTable
from threadhub.agents.usage import Amount
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role

EUROS = '{"currency": "EUR", "prices": {"echo/m-1": {"input": 1, "output": 1}}}'


def page_of(tenant: Tenant) -> str:
    return f"/admin/agents/agent/{tenant.agent.wire_id}/change/"


def budget_page(tenant: Tenant) -> str:
    return f"/admin/workspaces/workspace/{tenant.workspace.wire_id}/do/budget/"


def told(client: Client, address: str) -> str:
    """The page's text, without its markup."""
    return " ".join(re.sub("<[^>]*>", " ", client.get(address).content.decode()).split())


def use(tenant: Tenant, tokens: int, cost: str | None = None) -> None:
    amount = Amount(input_tokens=tokens, cost=None if cost is None else Decimal(cost))
    usage.record(agent=tenant.agent, purpose=DailyUsage.Purpose.ANSWER, amount=amount, now=timezone.now())


@pytest.fixture
def alex(tenant: Tenant) -> User:
    """Staff, and an admin of acme."""
    alex = make_user("alex", tenant.workspace, Role.ADMIN)
    User.objects.filter(pk=alex.pk).update(is_staff=True)
    alex.refresh_from_db()
    return alex


def limits() -> list[tuple[str, int | None, Decimal | None]]:
    return list(Budget.objects.order_by("period").values_list("period", "tokens", "cost"))


def test_what_is_used_is_told_without_a_budget(alex: User, tenant: Tenant) -> None:
    use(tenant, 1234)
    text = told(signed_in(alex), page_of(tenant))
    assert "Today: 1,234 tokens used. No budget." in text
    assert "This month: 1,234 tokens used. No budget." in text
    assert "All agents of the workspace" not in text


def test_it_is_set_and_what_is_left_is_told(alex: User, tenant: Tenant, settings: Any) -> None:
    settings.PRICES = PriceTable.parse(EUROS)
    use(tenant, 400, "0.2")
    client = signed_in(alex)
    form = form_of(tenant.agent, model="m-1", day_tokens="1000", month_cost="50.00")
    assert client.post(page_of(tenant), form).status_code == 302
    assert limits() == [("day", 1000, None), ("month", None, Decimal("50"))]
    text = told(client, page_of(tenant))
    assert "Today: 400 of 1,000 tokens used, 600 left. It begins anew" in text
    assert "This month: 0.2 EUR of 50 EUR used, 49.8 EUR left; 400 tokens used. It begins anew" in text
    html = client.get(page_of(tenant)).content.decode()
    assert 'name="day_tokens" value="1000"' in html
    assert 'name="month_cost" value="50"' in html
    (event,) = AuditEvent.objects.filter(action="budget.set")
    assert (event.actor, event.ids, event.face) == (f"user:{alex.pk}", [tenant.agent.wire_id], "console")
    assert event.details["day"] == {"tokens": 1000, "cost": None}


def test_a_save_that_leaves_it_records_nothing_of_it(alex: User, tenant: Tenant) -> None:
    client = signed_in(alex)
    for name, shown in (("One", ""), ("Two", "7")):
        form = form_of(tenant.agent, name=name, day_tokens="7", **{"initial-day_tokens": shown})
        client.post(page_of(tenant), form)
    assert AuditEvent.objects.filter(action="budget.set").count() == 1
    client.post(page_of(tenant), form_of(tenant.agent, **{"initial-day_tokens": "7"}))
    assert limits() == []


def test_one_that_is_used_up_is_said(alex: User, tenant: Tenant) -> None:
    client = signed_in(alex)
    client.post(page_of(tenant), form_of(tenant.agent, day_tokens="0"))
    assert limits() == [("day", 0, None)]
    text = told(client, page_of(tenant))
    assert "Today: 0 of 0 tokens used, 0 left. It is used up: the agent takes no questions." in text


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("day_tokens", "-1", "greater than or equal to 0"),
        ("month_tokens", "1.5", "Enter a whole number."),
        ("day_tokens", str(2**53), "less than or equal to"),
        ("day_cost", "-0.1", "greater than or equal to 0"),
        ("day_cost", "0.0000001", "no more than 6 decimal places"),
        ("month_cost", "NaN", "Enter a number."),
        ("month_cost", "5", "There is no price for this"),
    ],
)
def test_nonsense_is_refused_beside_the_field(alex: User, tenant: Tenant, name: str, value: str, sentence: str) -> None:
    answer = signed_in(alex).post(page_of(tenant), form_of(tenant.agent, **{name: value, "name": "Changed"}))
    assert answer.status_code == 200
    assert sentence in answer.content.decode()
    tenant.agent.refresh_from_db()
    assert (limits(), tenant.agent.name) == ([], "Echo")


class TestAnotherModel:
    """Where money is limited, a model that has no price is refused: the budget would not count."""

    @pytest.fixture
    def limited(self, tenant: Tenant, settings: Any) -> Tenant:
        settings.PRICES = PriceTable.parse(EUROS)
        configure.change(actor=tenant.actor, agent=tenant.agent, now=timezone.now(), model="m-1")
        tenant.agent.refresh_from_db()
        budgets.replace(actor=tenant.actor, agent=tenant.agent, limits={"day": {"tokens": None, "cost": Decimal(5)}})
        return tenant

    def save(self, alex: User, tenant: Tenant, **changes: object) -> Any:
        return signed_in(alex).post(
            page_of(tenant), form_of(tenant.agent, **{"day_cost": "5", "initial-day_cost": "5", **changes})
        )

    def test_it_is_refused_beside_the_field(self, alex: User, limited: Tenant) -> None:
        answer = self.save(alex, limited, model="m-2", name="Changed")
        assert answer.status_code == 200
        assert "There is no price for this" in answer.content.decode()
        limited.agent.refresh_from_db()
        assert (limited.agent.model, limited.agent.name) == ("m-1", "Echo")
        assert limits() == [("day", None, Decimal(5))]

    def test_it_is_taken_where_the_budget_goes_with_it(self, alex: User, limited: Tenant) -> None:
        assert self.save(alex, limited, model="m-2", day_cost="", day_tokens="7").status_code == 302
        limited.agent.refresh_from_db()
        assert (limited.agent.model, limits()) == ("m-2", [("day", 7, None)])

    def test_what_is_saved_as_it_was_is_taken(self, alex: User, limited: Tenant, settings: Any) -> None:
        settings.PRICES = PriceTable()
        assert self.save(alex, limited, name="Changed").status_code == 302
        limited.agent.refresh_from_db()
        assert limited.agent.name == "Changed"

    def test_going_back_to_one_is_refused(self, alex: User, limited: Tenant) -> None:
        page = f"/admin/agents/agent/{limited.agent.wire_id}/history/1/"
        answer = signed_in(alex).post(page, {"seen": "2"}, follow=True)
        assert "The agent has a budget of money" in answer.content.decode()
        limited.agent.refresh_from_db()
        assert limited.agent.model == "m-1"


def test_the_workspaces_budget_is_told_beside_it_and_set_on_its_own_page(
    alex: User, tenant: Tenant, other_tenant: Tenant
) -> None:
    use(tenant, 30)
    use(other_tenant, 1000)
    client = signed_in(alex)
    assert "There is none yet" in told(client, budget_page(tenant))
    assert client.post(budget_page(tenant), {"month_tokens": "100"}).status_code == 302
    sentence = "All agents of the workspace, this month: 30 of 100 tokens used, 70 left."
    assert sentence in told(client, budget_page(tenant))
    assert sentence in told(client, page_of(tenant))
    assert 'name="month_tokens" value="100"' in client.get(budget_page(tenant)).content.decode()
    answer = client.post(budget_page(tenant), {"month_cost": "5"})
    assert "There is no price for this" in answer.content.decode()
    assert limits() == [("month", 100, None)]
    assert budgets.standings(other_tenant.workspace.pk, None, timezone.now()) == []
    assert client.get(budget_page(other_tenant)).status_code == 404


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_who_may_not_see_usage_sees_no_budget(role: Role, tenant: Tenant) -> None:
    """Nor what else of an agent is for those who may change it."""
    Budget.objects.create(workspace=tenant.workspace, agent=tenant.agent, period="day", tokens=4321)
    type(tenant.agent).objects.update(instructions="Be secretive.")
    user = make_user("una", tenant.workspace, role)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    client = signed_in(User.objects.get(pk=user.pk))
    answer = client.get(page_of(tenant))
    text = told(client, page_of(tenant))
    assert answer.status_code == 200
    assert "How it answers" in text
    for hidden in ("4,321", "4321", "tokens used", "Be secretive", "Who may have it", "Try it"):
        assert hidden not in text
    assert client.post(page_of(tenant), form_of(tenant.agent, day_tokens="1")).status_code == 403
    assert client.post(budget_page(tenant), {"day_tokens": "1"}).status_code in (403, 404)
    assert limits() == [("day", 4321, None)]


def test_what_was_set_while_the_page_was_open_stays(alex: User, tenant: Tenant) -> None:
    client = signed_in(alex)
    assert 'name="initial-day_tokens"' in client.get(page_of(tenant)).content.decode()
    opened = {f"initial-{name}": "" for name in ("day_tokens", "day_cost", "month_tokens", "month_cost")}
    budgets.replace(
        actor=tenant.actor, agent=tenant.agent, limits={"day": {"tokens": 1000, "cost": None}, "month": None}
    )
    typo = form_of(tenant.agent, instructions="Be kind.", **opened)
    assert client.post(page_of(tenant), typo).status_code == 302
    assert limits() == [("day", 1000, None)]
    both = form_of(tenant.agent, month_tokens="5000", **opened)
    assert client.post(page_of(tenant), both).status_code == 302
    assert limits() == [("day", 1000, None), ("month", 5000, None)]
