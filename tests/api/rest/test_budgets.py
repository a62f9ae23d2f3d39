"""Budgets of agents and of workspaces, and what becomes of questions beyond them."""

import asyncio
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from django.utils import timezone

from tests.api.rest.conftest import fault, new_thread, problem, same_404
from tests.conftest import Api, Tenant
from tests.threads.conftest import answer, ask
from threadhub.agents import budgets, usage
from threadhub.agents.models import Budget, DailyUsage, DoubleTexting, Tool
from threadhub.agents.prices import PriceTable
from threadhub.agents.usage import Amount
from threadhub.lib import ids
from threadhub.workspaces.models import User
from threads.actions.tool_outputs import Output, bring
from threads.models import Message, Run, Thread, ToolApproval
from threads.runs.execute import execute

pytestmark = pytest.mark.django_db(transaction=True)


def use(tenant: Tenant, tokens: int) -> None:
    usage.record(agent=tenant.agent, purpose=DailyUsage.Purpose.ANSWER, amount=Amount(tokens), now=timezone.now())


def put(api: Api, path: str, body: Any) -> Any:
    return api.put(path, body, content_type="application/json")


@pytest.mark.parametrize("whose", ["agent", "workspace"])
def test_it_is_set_read_and_removed(api: Api, tenant: Tenant, whose: str) -> None:
    path = f"/agents/{tenant.agent.wire_id}/budget" if whose == "agent" else "/budget"
    assert api.get(path).json() == {"currency": None, "day": None, "month": None}
    use(tenant, 7)
    body = put(api, path, {"day": {"tokens": 1000}, "month": {"tokens": 9000}}).json()
    assert body == api.get(path).json()
    assert (body["day"]["tokens"], body["day"]["used_tokens"], body["month"]["tokens"]) == (1000, 7, 9000)
    assert (body["day"]["cost"], body["day"]["used_cost"]) == (None, None)
    assert put(api, path, {"month": {"tokens": 1}}).json()["day"] is None
    put(api, path, {})
    assert not Budget.objects.exists()


@pytest.mark.parametrize("whose", ["agent", "workspace"])
@pytest.mark.parametrize("period", ["day", "month"])
def test_a_question_at_the_budget_is_refused_with_nothing_stored(
    api: Api, tenant: Tenant, whose: str, period: str
) -> None:
    path = f"/agents/{tenant.agent.wire_id}/budget" if whose == "agent" else "/budget"
    thread = new_thread(api, tenant)
    put(api, path, {period: {"tokens": 100}})
    use(tenant, 99)
    budgets.check(agent=tenant.agent, now=timezone.now())
    use(tenant, 1)
    response = api.post(f"/threads/{thread['id']}/invoke", {"prompt": "hello"})
    told = problem(response, 429, "budget_exceeded")
    assert (whose in told["detail"], period in told["detail"]) == (True, True)
    assert 1 <= int(response["Retry-After"]) <= 31 * 86_400
    refused = api.post(
        f"/api/ai/{tenant.agent.wire_id}/chat-completion", {"messages": [{"role": "user", "content": "hello"}]}
    )
    assert (refused.status_code, refused.json()["code"]) == (429, "budget_exceeded")
    assert refused["Retry-After"]
    assert (Message.objects.count(), Run.objects.count(), Thread.objects.count()) == (0, 0, 1)


def test_the_budget_of_another_agent_or_workspace_holds_nothing_up(
    api: Api, tenant: Tenant, other_tenant: Tenant
) -> None:
    put(Api(other_tenant.key), "/budget", {"day": {"tokens": 0}})
    budgets.check(agent=tenant.agent, now=timezone.now())
    with pytest.raises(budgets.BudgetExceeded):
        budgets.check(agent=other_tenant.agent, now=timezone.now())
    use(tenant, 5)
    assert put(Api(other_tenant.key), "/budget", {"day": {"tokens": 6}}).json()["day"]["used_tokens"] == 0


@pytest.mark.parametrize(
    "cost", ["", " ", "1e3", " 5", "+5", "-1", "1.", ".5", "1.1234567", "\u0663", 0.5, True, [], {}]
)
def test_an_amount_is_digits(api: Api, tenant: Tenant, cost: Any) -> None:
    fault(put(api, "/budget", {"day": {"cost": cost, "tokens": 1}}), "body", "day", "cost")
    assert not Budget.objects.exists()


def test_money_is_counted_exactly(api: Api, tenant: Tenant, settings: Any) -> None:
    path = f"/agents/{tenant.agent.wire_id}/budget"
    assert "price" in fault(put(api, path, {"day": {"cost": "0.30"}}), "body", "cost")
    settings.PRICES = PriceTable.parse('{"currency": "EUR", "prices": {"echo/*": {"input": 100000, "output": 1}}}')
    put(api, path, {"day": {"cost": "0.30"}})
    for _ in range(2):
        budgets.check(agent=tenant.agent, now=timezone.now())
        amount = usage.measured(usage.Usage(1, 0), provider="echo", model="")
        usage.record(agent=tenant.agent, purpose=DailyUsage.Purpose.TITLE, amount=amount, now=timezone.now())
    assert api.get(path).json()["day"]["used_cost"] == "0.2"
    budgets.check(agent=tenant.agent, now=timezone.now())
    usage.record(agent=tenant.agent, purpose=DailyUsage.Purpose.TITLE, amount=amount, now=timezone.now())
    with pytest.raises(budgets.BudgetExceeded):
        budgets.check(agent=tenant.agent, now=timezone.now())


def test_periods_end_at_midnight_utc() -> None:
    leap = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
    assert budgets.end_of("day", leap) == budgets.end_of("month", leap) == datetime(2024, 3, 1, tzinfo=UTC)
    assert budgets.end_of("month", datetime(2024, 12, 1, tzinfo=UTC)) == datetime(2025, 1, 1, tzinfo=UTC)
    assert budgets.end_of("month", datetime(2024, 1, 31, tzinfo=UTC)) == datetime(2024, 2, 1, tzinfo=UTC)


def test_a_question_that_waited_is_checked_again(api: Api, tenant: Tenant) -> None:
    tenant.agent.double_texting = DoubleTexting.ENQUEUE
    tenant.agent.save()
    thread = Thread.objects.create(workspace=tenant.workspace, agent=tenant.agent)
    put(api, "/budget", {"day": {"tokens": 3}})
    first, second = ask(tenant, thread, "/say one two three"), ask(tenant, thread, "and I?")
    for run in (first, second):
        asyncio.run(execute(run_id=run.pk, workspace_id=run.workspace_id))
        run.refresh_from_db()
    assert (first.status, second.status, second.error_code) == ("succeeded", "failed", "budget_exceeded")
    assert list(thread.messages.order_by("position").values_list("content", flat=True))[-1] == "and I?"
    put(api, "/budget", {})
    again = ask(tenant, thread, "now?")
    asyncio.run(execute(run_id=again.pk, workspace_id=again.workspace_id))
    again.refresh_from_db()
    assert again.status == "succeeded"


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({"day": {"tokens": -1}}, ("day", "tokens")),
        ({"day": {"tokens": 1.5}}, ("day", "tokens")),
        ({"day": {"cost": 1.5}}, ("day", "cost")),
        ({"day": {"cost": "-1"}}, ("day", "cost")),
        ({"day": {"cost": "NaN"}}, ("day", "cost")),
        ({"day": {"cost": "0.0000001"}}, ("day", "cost")),
        ({"week": {"tokens": 1}}, ("week",)),
        ({"day": {"token": 1}}, ("day", "token")),
    ],
)
def test_nonsense_is_refused(api: Api, body: Any, loc: tuple[str, ...]) -> None:
    fault(put(api, "/budget", body), "body", *loc)


def test_only_owners_and_admins_see_and_set_them(
    api: Api, tenant: Tenant, alice: User, as_user: Any, other_tenant: Tenant
) -> None:
    for path in ("/budget", f"/agents/{tenant.agent.wire_id}/budget"):
        problem(as_user(alice).get(path), 403, "permission_missing")
        problem(put(as_user(alice), path, {}), 403, "permission_missing")
        assert as_user(tenant.owner).get(path).status_code == 200
    same_404(
        api.get(f"/agents/{other_tenant.agent.wire_id}/budget"),
        api.get("/agents/agent_01m80hajp3exg99n9xyqzfzfbj/budget"),
    )


class TestGoingOn:
    """A run that goes on costs like any other."""

    DOOR: ClassVar[dict[str, str]] = {"name": "open_door"}

    @pytest.fixture
    def thread(self, tenant: Tenant) -> Thread:
        return Thread.objects.create(workspace=tenant.workspace, agent=tenant.agent)

    def test_outputs_of_tools_are_not_taken(self, api: Api, tenant: Tenant, thread: Thread) -> None:
        run = answer(tenant, thread, "/tool open_door {}", client_tools=[self.DOOR])
        assert run.status == "requires_action"
        put(api, "/budget", {"day": {"tokens": 1}})
        path = f"/threads/{ids.encode('thread', thread.pk)}/runs/{run.wire_id}/tool_outputs"
        body = {"tool_outputs": [{"tool_call_id": run.required_action["tool_calls"][0]["id"], "output": "opened"}]}
        before = (Message.objects.count(), Run.objects.count())
        response = api.post(path, body)
        problem(response, 429, "budget_exceeded")
        assert response["Retry-After"]
        assert (Message.objects.count(), Run.objects.count()) == before
        put(api, "/budget", {})
        actor, outputs = tenant.actor, [Output(body["tool_outputs"][0]["tool_call_id"], "opened")]
        assert bring(actor=actor, thread=thread, run=run, outputs=outputs, now=timezone.now()).continues == run.pk

    def test_what_is_approved_is_not_called(self, api: Api, tenant: Tenant, thread: Thread) -> None:
        Tool.objects.filter(workspace=tenant.workspace, name="current_time").update(approval=Tool.Approval.ALWAYS)
        run = answer(tenant, thread, "/tool current_time {}")
        assert run.status == "requires_action"
        put(api, "/budget", {"day": {"tokens": 1}})
        approval = ToolApproval.objects.get()
        assert api.post(f"/approvals/{approval.wire_id}/approve").status_code == 200
        going_on = Run.objects.get(continues=run.pk)
        asyncio.run(execute(run_id=going_on.pk, workspace_id=going_on.workspace_id))
        going_on.refresh_from_db()
        approval.refresh_from_db()
        assert (going_on.status, going_on.error_code) == ("failed", "budget_exceeded")
        assert (approval.status, approval.called_at) == ("void", None)
        assert not Message.objects.filter(role="tool").exists()
        put(api, "/budget", {})
        assert answer(tenant, thread, "/say still here").status == "succeeded"
