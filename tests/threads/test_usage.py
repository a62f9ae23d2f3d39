"""Tokens and cost: of a message, of a run, of an agent's days."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from tests.conftest import Tenant
from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI, Flood, Reply
from tests.threads.conftest import answer, ask
from threadhub.agents import usage
from threadhub.agents.events import Usage
from threadhub.agents.models import DailyUsage
from threadhub.agents.prices import PriceTable
from threadhub.agents.usage import Amount, measured
from threads import own_asking, summaries
from threads.actions import messages, threads
from threads.actions.messages import Draft
from threads.models import Run, RunEvent, Thread
from threads.runs import answer as answers
from threads.runs import end, sql
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
        assert spent(run) == (1000, 7, 400, Decimal("0.00207"), 0, 0)
        (message,) = thread.messages.filter(role="assistant")
        assert message.usage == {
            "input_tokens": 1000,
            "output_tokens": 7,
            "cached_tokens": 400,
            "cost": "0.00207",
            "estimated": False,
        }
        assert days(tenant) == runs(tenant)

    def test_each_of_its_messages_has_its_own(self, tenant: Tenant, thread: Thread, model_server: FakeOpenAI) -> None:
        model_server.will(
            fake.tool_calls(("call_1", "current_time", {"zone": "UTC"})),  # 20 in, 8 out
            fake.answer("Noon.", counted=fake.usage(40, 2)),
        )
        run = answer(tenant, thread, "what time?")
        assert spent(run) == (60, 10, 0, Decimal("0.00025"), 0, 0)
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
        assert spent(run) == (40, 16, 0, Decimal("0.00026"), 0, 0)
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
class TestAServiceThatCountsNothing:
    """A budget of tokens must fill for it too: what it was given and what it said counts by an estimate."""

    def test_an_answer(self, tenant: Tenant, thread: Thread, model_server: FakeOpenAI, counted: Any) -> None:
        model_server.will(fake.answer("x" * 400, counted=counted))
        run = answer(tenant, thread, "really?")
        assert (run.status, run.output_tokens, run.estimated, run.unpriced) == ("succeeded", 100, 1, 0)
        assert run.input_tokens
        assert run.cost
        assert thread.messages.get(position=2).usage["estimated"] is True
        assert days(tenant) == runs(tenant)

    def test_each_step_once(self, tenant: Tenant, thread: Thread, model_server: FakeOpenAI, counted: Any) -> None:
        asks = fake.tool_calls(("call_1", "current_time", {}), counted=fake.usage(0, 0))
        model_server.will(asks, fake.answer("Noon.", counted=counted))
        run = answer(tenant, thread, "what time is it?")
        assert (run.status, run.estimated, run.unpriced) == ("succeeded", 2, 0)
        assert days(tenant) == runs(tenant)

    def test_a_title(self, tenant: Tenant, model_server: FakeOpenAI, counted: Any) -> None:
        model_server.will(fake.answer("x" * 40, counted=counted))
        asyncio.run(
            own_asking.ask(agent=tenant.agent, purpose="title", instructions="Name it.", text="Hi.", max_tokens=10)
        )
        told = days(tenant, purpose="title")
        assert (told["estimated"], told["output_tokens"]) == (1, 10)


def test_without_a_price_the_cost_is_unknown_and_not_nothing(tenant: Tenant, thread: Thread) -> None:
    run = answer(tenant, thread, "/say one two")
    assert spent(run)[3:] == (None, 1, 0)
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
        "estimated": 0,
    }


def test_days_begin_at_midnight_utc(tenant: Tenant) -> None:
    from datetime import UTC, datetime
    from datetime import timezone as zone

    midnight = datetime(2024, 3, 1, tzinfo=UTC)
    for now in (midnight - timedelta(microseconds=1), midnight.astimezone(zone(-timedelta(hours=8)))):
        usage.record(agent=tenant.agent, purpose=DailyUsage.Purpose.ANSWER, amount=Amount(1), now=now)
    found = DailyUsage.objects.order_by("day").values_list("day", flat=True)
    assert [day.isoformat() for day in found] == ["2024-02-29", "2024-03-01"]


@pytest.mark.usefixtures("priced")
class TestWhatIsCutOff:
    """The service has reported nothing of it, and has been paid for all the same: it counts by an estimate."""

    def endless(self) -> Reply:
        return fake.actions(
            fake.chunk({"role": "assistant", "content": ""}), Flood(fake.chunk({"content": "word "}).data)
        )

    def test_by_a_limit(self, tenant: Tenant, thread: Thread, model_server: FakeOpenAI) -> None:
        tenant.agent.max_run_tokens = 300
        tenant.agent.save()
        model_server.will(self.endless())
        run = answer(tenant, thread, "go on")
        assert (run.error_code, run.estimated) == ("token_limit", 1)
        assert 290 < (run.input_tokens or 0) + (run.output_tokens or 0) < 330
        assert run.cost is not None
        (kept,) = thread.messages.filter(role="assistant")
        assert (kept.usage["estimated"], kept.usage["output_tokens"]) == (True, run.output_tokens)
        assert days(tenant) == runs(tenant)

    def test_by_the_service_itself(self, tenant: Tenant, thread: Thread, model_server: FakeOpenAI) -> None:
        model_server.will(fake.actions(fake.chunk({"role": "assistant", "content": "x" * 400}), fake.Reset()))
        run = answer(tenant, thread, "well?")
        assert (run.status, run.output_tokens, run.estimated) == ("failed", 100, 1)
        assert days(tenant) == runs(tenant)

    def test_before_it_spoke_counts_nothing(self, tenant: Tenant, thread: Thread, model_server: FakeOpenAI) -> None:
        model_server.will(fake.status(400))
        run = answer(tenant, thread, "well?")
        assert spent(run) == (0, 0, 0, None, 0, 0)

    def test_by_a_cancel(self, tenant: Tenant, thread: Thread, model_server: FakeOpenAI) -> None:
        model_server.will(fake.actions(fake.chunk({"role": "assistant", "content": "x" * 400}), fake.Hang()))
        run, actor = ask(tenant, thread, "go on"), tenant.actor

        async def cancelled_while_it_speaks() -> None:
            from threadhub.lib.asynchronous import in_thread

            working = asyncio.create_task(execute(run_id=run.pk, workspace_id=run.workspace_id))
            while not await in_thread(RunEvent.objects.filter(run_id=run.pk, type="text_delta").exists)():
                await asyncio.sleep(0.01)
            await in_thread(end.cancel)(actor=actor, run=run, now=timezone.now())
            await working

        asyncio.run(cancelled_while_it_speaks())
        run.refresh_from_db()
        assert (run.status, run.output_tokens, run.estimated) == ("cancelled", 100, 1)
        assert days(tenant) == runs(tenant)

    def test_by_the_death_of_its_worker_and_only_once(self, tenant: Tenant, thread: Thread) -> None:
        run = ask(tenant, thread, "hello " * 100)
        taken = answers.claim(run_id=run.pk, workspace_id=run.workspace_id, now=timezone.now())
        assert taken is not None
        Run.objects.filter(pk=run.pk).update(context={"tokens": 150})
        said = [("message_start", {}), ("text_delta", {"index": 0, "text": "x" * 40})]
        sql.append_events(run_id=run.pk, workspace_id=run.workspace_id, events=said, lease_seconds=1)
        end.end_all_lost(now=timezone.now() + timedelta(minutes=5))
        late = Spent.of(taken)
        late.add(measured(Usage(160, 11), provider="echo", model=""))
        answers.note_late(run=taken, spent=late, now=timezone.now())
        run.refresh_from_db()
        assert (run.error_code, run.input_tokens, run.output_tokens, run.estimated) == ("worker_lost", 150, 10, 1)
        assert days(tenant) == runs(tenant)

    def test_of_a_title(self, tenant: Tenant, model_server: FakeOpenAI) -> None:
        model_server.will(self.endless())
        text = asyncio.run(
            own_asking.ask(agent=tenant.agent, purpose="title", instructions="Name it.", text="Hi.", max_tokens=10)
        )
        counted = days(tenant, purpose="title")
        assert (counted["estimated"], counted["output_tokens"]) == (1, -(-len(text) // 4))
