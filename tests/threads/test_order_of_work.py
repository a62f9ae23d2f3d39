"""What a busy worker does first: what has begun goes on first, and what nobody waits for comes last."""

import asyncio

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from tests.threads.conftest import answer, ask
from threadhub.lib import asynchronous
from threadhub.lib.few_at_a_time import FewAtATime
from threads import titles
from threads.actions import threads
from threads.models import Run, RunEvent, Thread
from threads.runs import events
from threads.runs.execute import execute

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 12


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asynchronous, "_threads", FewAtATime(1, "one"))


def asked(tenant: Tenant) -> list[Run]:
    """A question in each of some new threads."""
    new = [threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now()) for _ in range(AT_ONCE)]
    return [ask(tenant, thread, "/say so") for thread in new]


def test_answers_end_before_the_last_begins(tenant: Tenant) -> None:
    runs = asked(tenant)

    async def all_at_once() -> None:
        await asyncio.gather(*(execute(run_id=run.pk, workspace_id=run.workspace_id) for run in runs))

    asyncio.run(all_at_once())
    told = RunEvent.objects.filter(run__in=runs)
    began = told.filter(type=events.MESSAGE_START).order_by("created_at").values_list("created_at", flat=True)
    ended = told.filter(type=events.MESSAGE_STOP).order_by("created_at").values_list("created_at", flat=True)
    assert len(began) == len(ended) == AT_ONCE
    assert ended[0] < began[AT_ONCE - 1]


def test_a_title_waits_for_answers(tenant: Tenant, thread: Thread) -> None:
    answer(tenant, thread, "Where is my order?")
    runs, named = asked(tenant), list[int]()

    async def name() -> None:
        await titles.make(thread_id=thread.pk, workspace_id=thread.workspace_id)
        named.append(len(over))

    over = list[Run]()

    async def execute_one(run: Run) -> None:
        await execute(run_id=run.pk, workspace_id=run.workspace_id)
        over.append(run)

    async def all_at_once() -> None:
        await asyncio.gather(*(execute_one(run) for run in runs), name())

    asyncio.run(all_at_once())
    thread.refresh_from_db()
    assert thread.title == "Where is my order?"
    assert named[0] > AT_ONCE / 2
