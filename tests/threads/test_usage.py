"""Tokens and cost: of a message, of a run, of an agent's days."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from tests.conftest import Tenant
from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI
from tests.threads.conftest import answer, ask
from threadhub.agents import usage
from threadhub.agents.events import Usage
from threadhub.agents.models import DailyUsage
from threadhub.agents.prices import PriceTable
from threadhub.agents.usage import Amount, measured
from threads import summaries
from threads.actions import messages, threads
from threads.actions.messages import Draft
from threads.models import Run, Thread
from threads.runs import answer as answers
from threads.runs import end
from threads.runs.execute import execute
from threads.runs.spending import SPENT_FIELDS, Spent

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = """{"currency": "EUR", "prices": {
    "openai/fake-1": {"input": "2.5", "cached_input": "1.25", "output": 10},
    "echo/*": {"input": 1, "output": 1000000}
}}"""


@pytest.fixture
def priced(settings: Any) -> None:
    settings.PRICES = PriceTable.parse(TABLE)


def spent(run: Run) -> tuple[Any, ...]:
    return tuple(getattr(run, name) for name in SPENT_FIELDS)


def days(tenant: Tenant, **where: Any) -> dict[str, Any]:
    """What the days add up to."""
    rows = DailyUsage.objects.filter(workspace=tenant.workspace, **where)
    return rows.aggregate(**{name: Sum(name) for name in ("count", *DailyUsage.AMOUNTS)})


def runs(tenant: Tenant) -> dict[str, Any]:
    """What the runs add up to."""
    counted = Run.objects.filter(workspace=tenant.workspace, input_tokens__isnull=False)
    sums = counted.aggregate(**{name: Sum(name) for name in DailyUsage.AMOUNTS})
    return {"count": counted.count(), **sums}


@pytest.mark.usefixtures("priced")
class TestARun:
    def test_it_has_the_providers_numbers_and_their_exact_cost(
        self, tenant: Tenant, thread: Thread, model_server: FakeOpenAI
    ) -> None:
        model_server.will(fake.answer("Yes.", counted=fake.usage(1000, 7, cached=400)))
        run = answer(tenant, thread, "really?")
        assert spent(run) == (1000, 7, 400, Decimal("0.00207"), 0)
        (message,) = thread.messages.filter(role="assistant")
        assert message.usage == {
            "input_tokens": 1000,
            "output_tokens": 7,
            "cached_tokens": 400,
            "cost": "0.00207",
        }
        assert days(tenant) == runs(tenant)

    def test_each_of_its_messages_has_its_own(self, tenant: Tenant, thread: Thread, model_server: FakeOpenAI) -> None:
        model_server.will(
            fake.tool_calls(("call_1", "current_time", {"zone": "UTC"})),  # 20 in, 8 out
            fake.answer("Noon.", counted=fake.usage(40, 2)),
        )
        run = answer(tenant, thread, "what time?")
        assert spent(run) == (60, 10, 0, Decimal("0.00025"), 0)
        asking, result, told = thread.messages.filter(position__gt=1).order_by("position")
        assert (asking.usage["input_tokens"], result.usage, told.usage["input_tokens"]) == (20, None, 40)
        assert Decimal(asking.usage["cost"]) + Decimal(told.usage["cost"]) == run.cost
        assert days(tenant) == runs(tenant)
        assert days(tenant)["count"] == 1

    def test_one_whose_answer_cannot_be_read_counts_what_was_reported(
        self, tenant: Tenant, thread: Thread, model_server: FakeOpenAI
    ) -> None:
        model_server.will(*[fake.tool_calls(("call_1", "current_time", "{broken"))] * 2)
        run = answer(tenant, thread, "what time?")
        assert (run.status, run.error_code) == ("failed", "provider_bad_response")
        assert spent(run) == (40, 16, 0, Decimal("0.00026"), 0)
        assert days(tenant) == runs(tenant)

    def test_one_that_failed_midway_counts_the_steps_before(
        self, tenant: Tenant, thread: Thread, model_server: FakeOpenAI
    ) -> None:
        model_server.will(fake.tool_calls(("call_1", "current_time", {"zone": "UTC"})), fake.status(400))
        run = answer(tenant, thread, "what time?")
        assert run.status == "failed"
        assert spent(run)[:2] == (20, 8)
        assert days(tenant) == runs(tenant)

    def test_one_that_was_cancelled_counts_what_is_known(self, tenant: Tenant, thread: Thread) -> None:
        """The cancel comes in the second step, so the first step's numbers are there."""
        run, actor = ask(tenant, thread, "/tool current_time {}\n/hang 30"), tenant.actor

        async def cancelled_in_the_second_step() -> None:
            from threadhub.lib.asynchronous import in_thread

            working = asyncio.create_task(execute(run_id=run.pk, workspace_id=run.workspace_id))
            while not await in_thread(thread.messages.filter(role="tool").exists)():
                await asyncio.sleep(0.01)
            await in_thread(end.cancel)(actor=actor, run=run, now=timezone.now())
            await working

        asyncio.run(cancelled_in_the_second_step())
        run.refresh_from_db()
        assert run.status == "cancelled"
        assert run.output_tokens == 1
        assert days(tenant) == runs(tenant)
        assert days(tenant)["count"] == 1

    def test_what_was_reported_after_its_end_still_counts_once(self, tenant: Tenant, thread: Thread) -> None:
        run = ask(tenant, thread, "hello")
        taken = answers.claim(run_id=run.pk, workspace_id=run.workspace_id, now=timezone.now())
        assert taken is not None
        end.cancel(actor=tenant.actor, run=run, now=timezone.now())
        late = Spent.of(taken)
        late.add(measured(Usage(5, 2), provider="echo", model=""))
        for _ in range(2):
            answers.note_late(run=taken, spent=late, now=timezone.now())
        run.refresh_from_db()
        assert spent(run)[:2] == (5, 2)
        assert days(tenant) == runs(tenant)
        assert days(tenant)["count"] == 1


@pytest.mark.usefixtures("priced")
@pytest.mark.parametrize("counted", [None, fake.usage(0, 0)])
def test_a_service_that_counts_nothing_has_an_unknown_cost(
    tenant: Tenant, thread: Thread, model_server: FakeOpenAI, counted: Any
) -> None:
    model_server.will(fake.answer("Yes.", counted=counted))
    run = answer(tenant, thread, "really?")
    assert (run.cost, run.unpriced) == (None, 1)
    assert days(tenant)["unpriced"] == 1


def test_without_a_price_the_cost_is_unknown_and_not_nothing(tenant: Tenant, thread: Thread) -> None:
    run = answer(tenant, thread, "/say one two")
    assert spent(run)[3:] == (None, 1)
    assert thread.messages.get(position=2).usage["cost"] is None
    assert (days(tenant)["cost"], days(tenant)["unpriced"]) == (None, 1)


def test_numbers_that_make_no_sense_are_bounded(settings: Any) -> None:
    settings.PRICES = PriceTable.parse(TABLE)
    amount = measured(Usage(-5, 10**15, 70), provider="openai", model="fake-1")
    assert (amount.input_tokens, amount.output_tokens, amount.cached_tokens) == (0, usage.MOST_TOKENS, 0)


@pytest.mark.usefixtures("priced")
def test_runs_that_end_at_once_are_all_counted(tenant: Tenant) -> None:
    asked = []
    for number in range(24):
        thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
        asked.append(ask(tenant, thread, f"/say {'word ' * (number + 1)}"))

    def work(run: Run) -> None:
        try:
            asyncio.run(execute(run_id=run.pk, workspace_id=run.workspace_id))
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, asked))
    assert Run.objects.filter(status="succeeded").count() == 24
    assert days(tenant) == runs(tenant)
    assert (days(tenant)["count"], days(tenant)["output_tokens"]) == (24, sum(range(1, 25)))
    assert DailyUsage.objects.count() == 1


@pytest.mark.usefixtures("priced")
def test_it_outlives_the_thread(tenant: Tenant, thread: Thread) -> None:
    answer(tenant, thread, "/say one two")
    before = days(tenant)
    assert before["count"] == 1
    threads.delete(actor=tenant.actor, thread=thread, now=timezone.now())
    assert days(tenant) == before


@pytest.mark.usefixtures("priced")
def test_what_a_run_used_counts_though_its_thread_was_deleted_meanwhile(tenant: Tenant, thread: Thread) -> None:
    run = ask(tenant, thread, "hello")
    taken = answers.claim(run_id=run.pk, workspace_id=run.workspace_id, now=timezone.now())
    assert taken is not None
    threads.delete(actor=tenant.actor, thread=thread, now=timezone.now())
    late = Spent.of(taken)
    late.add(measured(Usage(5, 2), provider="echo", model=""))
    answers.note_late(run=taken, spent=late, now=timezone.now())
    assert (days(tenant)["count"], days(tenant)["input_tokens"]) == (1, 5)


def test_a_summary_counts_for_its_agent(
    tenant: Tenant, thread: Thread, model_server: FakeOpenAI, settings: Any
) -> None:
    settings.PRICES = PriceTable.parse(TABLE)
    tenant.agent.context_budget = 400
    tenant.agent.save()
    drafts = [Draft(role="user", content=f"message {number} " + "word " * 20) for number in range(40)]
    messages.append(actor=tenant.actor, thread=thread, drafts=drafts)
    model_server.will(fake.answer("They spoke.", counted=fake.usage(300, 4)), fake.status(500))
    assert asyncio.run(summaries.summarize(thread_id=thread.pk, workspace_id=thread.workspace_id)) == 1
    assert days(tenant, purpose="summary") == {
        "count": 1,
        "input_tokens": 300,
        "output_tokens": 4,
        "cached_tokens": 0,
        "cost": Decimal("0.00079"),
        "unpriced": 0,
    }


def test_days_begin_at_midnight_utc(tenant: Tenant) -> None:
    from datetime import UTC, datetime, timedelta
    from datetime import timezone as zone

    midnight = datetime(2024, 3, 1, tzinfo=UTC)
    for now in (midnight - timedelta(microseconds=1), midnight.astimezone(zone(-timedelta(hours=8)))):
        usage.record(agent=tenant.agent, purpose=DailyUsage.Purpose.ANSWER, amount=Amount(1), now=now)
    found = DailyUsage.objects.order_by("day").values_list("day", flat=True)
    assert [day.isoformat() for day in found] == ["2024-02-29", "2024-03-01"]
