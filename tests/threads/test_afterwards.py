"""What follows an answer, and nobody waits for: titles and summaries. Questions do not wait for it either."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from tests.conftest import Tenant
from tests.threads.conftest import answer, ask
from threads import own_asking, titles
from threads.actions import threads
from threads.models import Run, Thread

pytestmark = pytest.mark.django_db(transaction=True)

SLOTS = 8  # of the fixture `worker`, for runs


def until(found: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not found() and time.monotonic() < deadline:
        time.sleep(0.05)
    return found()


def answered(run: Run) -> bool:
    return until(lambda: Run.objects.get(pk=run.pk).status == Run.Status.SUCCEEDED)


def test_questions_are_answered_while_a_service_keeps_all_titles_waiting(
    tenant: Tenant, worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, over = list[str](), threading.Event()

    async def ask_for_a_title(*, purpose: str, **_: Any) -> str:
        stalled.append(purpose)
        while not over.is_set():
            await asyncio.sleep(0.05)
        return "late"

    monkeypatch.setattr(own_asking, "ask", ask_for_a_title)
    new = [threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now()) for _ in range(SLOTS)]
    try:
        assert all(answered(ask(tenant, thread, "one two")) for thread in new)
        assert until(lambda: len(stalled) == SLOTS)
        assert answered(ask(tenant, new[0], "three four"))
    finally:
        over.set()
    assert until(lambda: not Thread.objects.exclude(title="late").exists())


def test_a_title_is_not_made_in_the_same_moment(tenant: Tenant, thread: Thread) -> None:
    run = answer(tenant, thread, "one two")
    job = ProcrastinateJob.objects.get(task_name="threads.title")
    assert job.scheduled_at is not None
    assert run.finished_at is not None
    assert (job.scheduled_at - run.finished_at).total_seconds() > titles.AFTER_SECONDS / 2
