"""A model service that misbehaves: what the thread holds afterwards."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI
from tests.threads.conftest import answer, ask, conversation
from threadhub.lib.asynchronous import in_thread
from threads.models import Run, RunEvent, Thread
from threads.runs import execute as execution

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("fault", [fake.status(429, retry_after=0), fake.status(500), fake.actions(fake.Reset())])
def test_it_asks_again_after_a_passing_fault(
    tenant: Tenant, thread: Thread, model_server: FakeOpenAI, fault: Any
) -> None:
    model_server.will(fault, fake.answer("All ", "good."))
    run = answer(tenant, thread, "hello")
    assert run.status == "succeeded"
    assert conversation(thread) == [(1, "user", "hello"), (2, "assistant", "All good.")]
    assert len(model_server.requests) == 2


def test_it_gives_up_after_the_set_number_of_tries(tenant: Tenant, thread: Thread, model_server: FakeOpenAI) -> None:
    model_server.will(*[fake.status(503)] * 5)
    run = answer(tenant, thread, "hello")
    assert (run.status, run.error_code) == ("failed", "provider_unavailable")
    assert len(model_server.requests) == 2
    assert conversation(thread) == [(1, "user", "hello")]


def test_it_does_not_ask_again_where_that_cannot_help(tenant: Tenant, thread: Thread, model_server: FakeOpenAI) -> None:
    model_server.will(fake.status(401), fake.answer("too late"))
    run = answer(tenant, thread, "hello")
    assert (run.status, run.error_code) == ("failed", "provider_unauthorized")
    assert len(model_server.requests) == 1


def test_it_does_not_ask_again_once_something_was_said(
    tenant: Tenant, thread: Thread, model_server: FakeOpenAI
) -> None:
    model_server.will(
        fake.actions(fake.chunk({"content": "half an "}), fake.Wait(0.2), fake.Reset()), fake.answer("doubled")
    )
    run = answer(tenant, thread, "hello")
    assert run.status == "failed"
    assert len(model_server.requests) == 1
    assert conversation(thread)[1:] == [(2, "assistant", "half an ")]
    assert thread.messages.get(position=2).partial


def test_a_silent_service_is_left_after_the_agents_time(
    tenant: Tenant, thread: Thread, model_server: FakeOpenAI
) -> None:
    tenant.agent.max_seconds = 1
    tenant.agent.save()
    model_server.will(fake.actions(fake.Hang()))
    run = answer(tenant, thread, "hello")
    assert (run.status, run.error_code) == ("failed", "time_limit")
    model_server.wait_for_leaving()


def test_a_stopping_worker_hands_back_what_nobody_has_seen_yet(
    tenant: Tenant, thread: Thread, model_server: FakeOpenAI
) -> None:
    model_server.will(fake.actions(fake.Hang()), fake.answer("by the next worker"))
    run = ask(tenant, thread, "hello")

    async def stop_while_waiting() -> None:
        working = asyncio.create_task(execution.execute(run_id=run.pk, workspace_id=run.workspace_id))
        await asyncio.to_thread(model_server.wait_for_requests, 1)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    asyncio.run(stop_while_waiting())
    run.refresh_from_db()
    assert run.status == "queued"
    asyncio.run(execution.execute(run_id=run.pk, workspace_id=run.workspace_id))
    assert conversation(thread) == [(1, "user", "hello"), (2, "assistant", "by the next worker")]
    types = list(RunEvent.objects.filter(run_id=run.pk).order_by("seq").values_list("type", flat=True))
    assert types.count("message_start") == 1


def test_a_stopping_worker_keeps_what_was_said(tenant: Tenant, thread: Thread, model_server: FakeOpenAI) -> None:
    model_server.will(fake.actions(fake.chunk({"content": "half "}), fake.Hang()))
    run = ask(tenant, thread, "hello")

    async def stop_in_the_middle() -> None:
        working = asyncio.create_task(execution.execute(run_id=run.pk, workspace_id=run.workspace_id))
        for _ in range(500):
            await asyncio.sleep(0.02)
            if await in_thread(RunEvent.objects.filter(run_id=run.pk, type="text_delta").exists)():
                break
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    asyncio.run(stop_in_the_middle())
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("failed", "worker_stopped")
    assert conversation(thread)[1:] == [(2, "assistant", "half ")]
    assert Run.objects.lost(timezone.now() + timedelta(days=1)).count() == 0
