"""What one run of an agent may use at most."""

from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import Tenant
from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI, Flood
from tests.threads.conftest import answer
from threadhub.agents.prices import PriceTable
from threads.models import Run, Thread

pytestmark = pytest.mark.django_db(transaction=True)


def limit(tenant: Tenant, **limits: Any) -> None:
    for name, value in limits.items():
        setattr(tenant.agent, name, value)
    tenant.agent.save()


def ended(run: Run) -> tuple[str, str]:
    return run.status, run.error_code


def test_a_run_within_its_limit_is_left_alone(tenant: Tenant, thread: Thread) -> None:
    limit(tenant, max_run_tokens=500)
    assert ended(answer(tenant, thread, "/length 20")) == ("succeeded", "")


def test_endless_text_is_cut_off_and_kept(tenant: Tenant, thread: Thread, model_server: FakeOpenAI) -> None:
    limit(tenant, max_run_tokens=300)
    model_server.will(
        fake.actions(fake.chunk({"role": "assistant", "content": ""}), Flood(fake.chunk({"content": "word "}).data))
    )
    run = answer(tenant, thread, "go on")
    assert ended(run) == ("failed", "token_limit")
    model_server.wait_for_leaving()
    kept = thread.messages.get(position=2)
    assert kept.partial is True
    assert 1000 < len(kept.content or "") < 1300
    limit(tenant, max_run_tokens=None)
    model_server.will(fake.answer("Fine."))
    assert answer(tenant, thread, "and now?").status == "succeeded"


def test_a_loop_of_tools_ends_between_its_steps(tenant: Tenant, thread: Thread) -> None:
    limit(tenant, max_run_tokens=400, max_steps=64)
    run = answer(tenant, thread, "/tool current_time {}\n/loop")
    assert ended(run) == ("failed", "token_limit")
    last = thread.messages.order_by("position").last()
    assert last is not None
    assert last.role == "tool"
    assert ended(answer(tenant, thread, "/say no"))[1] in ("", "token_limit")


def test_a_question_that_alone_is_too_much_is_not_asked(
    tenant: Tenant, thread: Thread, model_server: FakeOpenAI
) -> None:
    limit(tenant, max_run_tokens=50)
    assert ended(answer(tenant, thread, "word " * 100)) == ("failed", "token_limit")
    assert model_server.requests == []


def test_money_is_a_limit_too(tenant: Tenant, thread: Thread, settings: Any) -> None:
    settings.PRICES = PriceTable.parse('{"currency": "EUR", "prices": {"echo/*": {"input": 0, "output": 1000}}}')
    limit(tenant, max_run_cost=Decimal("0.1"))
    assert ended(answer(tenant, thread, "/length 60\nword")) == ("succeeded", "")
    run = answer(tenant, thread, "/length 600\nword")
    assert ended(run) == ("failed", "cost_limit")
    assert thread.messages.get(position=4).partial is True


def test_without_a_price_nobody_could_hold_a_limit_of_money_and_nothing_is_asked(
    tenant: Tenant, thread: Thread, model_server: FakeOpenAI
) -> None:
    """As where the price was taken from the table after the limit was set."""
    limit(tenant, max_run_cost=Decimal("1000"))
    run = answer(tenant, thread, "hello")
    assert ended(run) == ("failed", "cost_limit")
    assert "no price" in run.error_message
    assert model_server.requests == []
