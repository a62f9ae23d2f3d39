"""Threads that nobody named get a title from their agent."""

import asyncio
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
from threads import titles
from threads.actions import temporary, threads
from threads.models import Thread
from threads.runs.execute import execute

pytestmark = pytest.mark.django_db(transaction=True)


def made(thread: Thread) -> str | None:
    """What the job makes, when it runs now."""
    title = asyncio.run(titles.make(thread_id=thread.pk, workspace_id=thread.workspace_id))
    thread.refresh_from_db()
    return title


def jobs(thread: Thread) -> int:
    return ProcrastinateJob.objects.filter(task_name="threads.title", args__thread_id=str(thread.pk)).count()


def test_the_first_answer_has_a_title_made_afterwards(tenant: Tenant, thread: Thread) -> None:
    answer(tenant, thread, "Where is my order, please tell me?")
    thread.refresh_from_db()
    before = (thread.updated_at, thread.last_activity_at)
    assert (thread.title, jobs(thread)) == (None, 1)
    assert made(thread) == "Where is my order, please tell"
    assert (thread.title, thread.title_source) == ("Where is my order, please tell", "agent")
    assert (thread.updated_at, thread.last_activity_at) == before
    used = DailyUsage.objects.get(purpose="title")
    assert (used.count, used.output_tokens) == (1, 6)


def test_it_is_made_once(tenant: Tenant, thread: Thread) -> None:
    answer(tenant, thread, "one two")
    assert made(thread) == "one two"
    assert made(thread) is None
    answer(tenant, thread, "three four")
    assert (thread.title, jobs(thread)) == ("one two", 1)


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
        answer(tenant, thread, "one two")
        assert (made(thread), thread.title, jobs(thread)) == (None, title, 0)


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
    answer(tenant, thread, "one two")
    assert (jobs(thread), made(thread)) == (0, None)


def test_temporary_threads_and_failed_answers_get_none(tenant: Tenant, thread: Thread) -> None:
    hidden = temporary.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    run = ask(tenant, hidden, "one two")
    asyncio.run(execute(run_id=run.pk, workspace_id=run.workspace_id))
    answer(tenant, thread, "/fail provider_refused")
    assert (jobs(hidden), jobs(thread), made(hidden), made(thread)) == (0, 0, None, None)


def test_a_provider_that_fails_is_asked_again_after_the_next_answer(
    tenant: Tenant, thread: Thread, model_server: FakeOpenAI
) -> None:
    model_server.will(fake.answer("Yes."), fake.status(500), fake.answer("Sure."), fake.answer("«Orders».\nOr so"))
    answer(tenant, thread, "really?")
    assert made(thread) is None
    answer(tenant, thread, "really, really?")
    assert (made(thread), jobs(thread)) == ("Orders", 2)
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


def test_with_a_worker_it_comes_by_itself(tenant: Tenant, thread: Thread, worker: Any) -> None:
    import time

    ask(tenant, thread, "one two")
    deadline = time.monotonic() + 30
    while thread.title is None and time.monotonic() < deadline:
        time.sleep(0.05)
        thread.refresh_from_db()
    assert thread.title == "one two"
