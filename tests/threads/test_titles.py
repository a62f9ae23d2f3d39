"""Threads that nobody named get a title from their agent."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from procrastinate.contrib.django.models import ProcrastinateJob

from tests.conftest import Tenant
from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI
from tests.threads.conftest import answer, ask
from threadhub.agents.models import DailyUsage
from threads import tasks, titles
from threads.actions import temporary, threads
from threads.models import Thread
from threads.runs.execute import execute

pytestmark = pytest.mark.django_db(transaction=True)


def made(thread: Thread) -> str | None:
    """What comes of it after the thread's newest run."""
    run = thread.runs.order_by("-number")[0]
    title = asyncio.run(titles.make(run_id=run.pk, workspace_id=run.workspace_id))
    thread.refresh_from_db()
    return title


def answered(tenant: Tenant, thread: Thread, prompt: str) -> bool:
    """Whether the thread wants a title after that answer."""
    run = ask(tenant, thread, prompt)
    return asyncio.run(execute(run_id=run.pk, workspace_id=run.workspace_id))


def test_the_first_answer_has_a_title_made_afterwards(tenant: Tenant, thread: Thread) -> None:
    assert answered(tenant, thread, "Where is my order, please tell me?")
    thread.refresh_from_db()
    before = (thread.updated_at, thread.last_activity_at)
    assert thread.title is None
    assert made(thread) == "Where is my order, please tell"
    assert (thread.title, thread.title_source) == ("Where is my order, please tell", "agent")
    assert (thread.updated_at, thread.last_activity_at) == before
    used = DailyUsage.objects.get(purpose="title")
    assert (used.count, used.output_tokens) == (1, 6)


def test_it_is_made_once(tenant: Tenant, thread: Thread) -> None:
    answer(tenant, thread, "one two")
    assert made(thread) == "one two"
    assert made(thread) is None
    assert not answered(tenant, thread, "three four")
    assert (made(thread), thread.title) == (None, "one two")


def test_the_title_of_a_person_wins_whoever_is_first(tenant: Tenant, thread: Thread) -> None:
    answer(tenant, thread, "one two")
    stale = Thread.objects.get(pk=thread.pk)
    threads.change(actor=tenant.actor, thread=thread, now=timezone.now(), title="Mine")
    assert titles.keep(thread=stale, title="The agent's") is False
    assert made(thread) is None
    assert (thread.title, thread.title_source) == ("Mine", "person")
    Thread.objects.filter(pk=thread.pk).update(title="Older", title_source="agent")
    threads.change(actor=tenant.actor, thread=thread, now=timezone.now(), title="Mine")
    thread.refresh_from_db()
    assert (thread.title, thread.title_source) == ("Mine", "person")


def test_one_that_a_person_made_with_the_thread_stays(tenant: Tenant) -> None:
    for title in ("Mine", ""):
        thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now(), title=title)
        assert not answered(tenant, thread, "one two")
        assert (made(thread), thread.title) == (None, title)


def test_a_title_that_a_person_takes_away_is_made_again_after_the_next_answer(tenant: Tenant, thread: Thread) -> None:
    threads.change(actor=tenant.actor, thread=thread, now=timezone.now(), title="Mine")
    threads.change(actor=tenant.actor, thread=thread, now=timezone.now(), title=None)
    answer(tenant, thread, "one two")
    assert made(thread) == "one two"


def test_changing_other_things_keeps_whose_title_it_is(tenant: Tenant, thread: Thread) -> None:
    answer(tenant, thread, "one two")
    made(thread)
    threads.change(actor=tenant.actor, thread=thread, now=timezone.now(), metadata={"a": 1})
    thread.refresh_from_db()
    assert (thread.title, thread.title_source) == ("one two", "agent")


def test_an_agent_may_leave_it(tenant: Tenant, thread: Thread) -> None:
    tenant.agent.titles = False
    tenant.agent.save()
    assert not answered(tenant, thread, "one two")
    assert made(thread) is None


def test_temporary_threads_and_failed_answers_get_none(tenant: Tenant, thread: Thread) -> None:
    hidden = temporary.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    assert not answered(tenant, hidden, "one two")
    assert not answered(tenant, thread, "/fail provider_refused")
    assert (made(hidden), made(thread)) == (None, None)


def test_a_provider_that_fails_is_asked_again_after_the_next_answer(
    tenant: Tenant, thread: Thread, model_server: FakeOpenAI
) -> None:
    model_server.will(fake.answer("Yes."), fake.status(500), fake.answer("Sure."), fake.answer("«Orders».\nOr so"))
    answer(tenant, thread, "really?")
    assert made(thread) is None
    answer(tenant, thread, "really, really?")
    assert made(thread) == "Orders"
    asked = model_server.requests[-1].body["messages"][-1]["content"]
    assert asked == "user: really?\nassistant: Yes."


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Lost order", "Lost order"),
        ('\n\n  "Lost order."  \nmore', "Lost order"),
        ("Title: **Lost\torder**", "Lost order"),
        ("# «Lost order».", "Lost order"),
        ("About C#", "About C#"),
        ("Lost\x00\x1b[31m order\u202e", "Lost [31m order"),
        ("", ""),
        ('"" \n \n', ""),
    ],
)
def test_what_the_model_says_is_cleaned(said: str, title: str) -> None:
    assert titles.cleaned(said) == title


@given(st.text())
def test_a_title_is_one_short_line(said: str) -> None:
    title = titles.cleaned(said)
    assert len(title) <= titles.LONGEST
    assert title == title.strip()
    assert len(title.splitlines()) <= 1
    assert "\x00" not in title


def test_a_long_title_ends_with_a_whole_word() -> None:
    assert titles.cleaned("word " * 40) == "word " * 14 + "word…"
    assert titles.cleaned("x" * 200) == "x" * 79 + "…"


def test_answers_that_come_quickly_ask_for_it_once(tenant: Tenant, thread: Thread) -> None:
    runs = [answer(tenant, thread, "one two"), answer(tenant, thread, "three four")]

    async def both() -> list[str | None]:
        made = (titles.make(run_id=run.pk, workspace_id=run.workspace_id) for run in runs)
        return await asyncio.gather(*made)

    assert sorted(asyncio.run(both()), key=str) == [None, "one two"]
    assert DailyUsage.objects.get(purpose="title").count == 1


@pytest.mark.parametrize("attempts", [0, 1])
def test_a_worker_that_died_after_the_answer_is_made_up_for(tenant: Tenant, thread: Thread, attempts: int) -> None:
    """Its job is done once more. One that was never begun has nothing to make up for."""
    run = answer(tenant, thread, "one two")
    job = ProcrastinateJob.objects.get(task_name="threads.execute")
    context = SimpleNamespace(job=SimpleNamespace(attempts=attempts))
    asyncio.run(tasks.execute(context, **job.args))
    thread.refresh_from_db()
    assert (thread.title, run.status) == ("one two" if attempts else None, "succeeded")


def test_with_a_worker_it_comes_by_itself(tenant: Tenant, thread: Thread, worker: Any) -> None:
    import time

    ask(tenant, thread, "one two")
    deadline = time.monotonic() + 30
    while thread.title is None and time.monotonic() < deadline:
        time.sleep(0.05)
        thread.refresh_from_db()
    assert thread.title == "one two"


def test_two_statements_begin_it(tenant: Tenant, thread: Thread, django_assert_num_queries: Any) -> None:
    run = answer(tenant, thread, "one two")
    for _ in range(2):
        titles._to_be_named(run_id=run.pk, workspace_id=run.workspace_id)
    with django_assert_num_queries(2):
        found = titles._to_be_named(run_id=run.pk, workspace_id=run.workspace_id)
        assert found is not None
        assert (found[0].agent.provider, found[0].title, found[1]) == (
            "echo",
            None,
            "user: one two\nassistant: You said: one two",
        )
