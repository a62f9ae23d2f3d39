"""Threads that outgrow their agent's budget."""

import asyncio
from itertools import pairwise

import pytest

from tests.conftest import Tenant
from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI
from tests.threads.conftest import answer
from threads import summaries
from threads.actions import messages
from threads.actions.messages import Draft
from threads.models import Summary, Thread

pytestmark = pytest.mark.django_db(transaction=True)
BUDGET = 400  # tokens


@pytest.fixture
def long_thread(tenant: Tenant, thread: Thread) -> Thread:
    """Forty messages of about 30 tokens each, with an agent that may be given 400."""
    tenant.agent.context_budget = BUDGET
    tenant.agent.save()
    drafts = [
        Draft(role="user" if number % 2 else "assistant", content=f"message {number} " + "word " * 20)
        for number in range(1, 41)
    ]
    messages.append(actor=tenant.actor, thread=thread, drafts=drafts)
    return thread


def summarize(thread: Thread) -> int:
    return asyncio.run(summaries.summarize(thread_id=thread.pk, workspace_id=thread.workspace_id))


def kept(thread: Thread) -> list[tuple[int, int]]:
    return list(
        Summary.objects.filter(thread=thread).order_by("from_position").values_list("from_position", "to_position")
    )


def test_it_makes_summaries_until_the_rest_is_well_within_the_budget(long_thread: Thread) -> None:
    assert summarize(long_thread) > 0
    while summarize(long_thread):
        pass
    (covered,) = summaries.ranges(summaries.of_thread(long_thread))
    assert covered[0] == 1
    assert 30 < covered[1] < 40
    assert summaries.next_chunk(thread_id=long_thread.pk, workspace_id=long_thread.workspace_id) is None


def test_a_range_is_summarized_once(long_thread: Thread) -> None:
    while summarize(long_thread):
        pass
    ranges = kept(long_thread)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(ranges))


def test_a_short_thread_is_left_alone(tenant: Tenant, thread: Thread) -> None:
    answer(tenant, thread, "/say hello")
    assert summarize(thread) == 0
    assert not Summary.objects.exists()


def test_the_model_is_given_the_summaries_and_the_messages_after_them(
    tenant: Tenant, long_thread: Thread, model_server: FakeOpenAI
) -> None:
    model_server.will(*[fake.answer(f"They spoke of words, part {number}.") for number in (1, 2)], fake.answer("Yes."))
    chunks = 0
    while chunks < 2 and asyncio.run(one(long_thread)):
        chunks += 1
    answer(tenant, long_thread, "remember?")
    sent = model_server.requests[-1].body["messages"]
    assert "They spoke of words, part 2." in sent[0]["content"]
    said = [message["content"] for message in sent[1:]]
    given = {int(text.split()[1]) for text in said[:-1]}
    covered = {number for first, last in kept(long_thread) for number in range(first, last + 1)}
    assert not given & covered
    assert given >= set(range(max(covered) + 1, 41))
    assert said[-1] == "remember?"


async def one(thread: Thread) -> bool:
    from threadhub.lib.asynchronous import in_thread

    chunk = await in_thread(summaries.next_chunk)(thread_id=thread.pk, workspace_id=thread.workspace_id)
    assert chunk is not None
    return await in_thread(summaries.keep)(chunk=chunk, text=await summaries._ask(chunk))


def test_deleting_a_message_voids_the_summary_over_it(tenant: Tenant, long_thread: Thread) -> None:
    while summarize(long_thread):
        pass
    before = kept(long_thread)
    message = long_thread.messages.get(position=before[0][0] + 1)
    from django.utils import timezone

    messages.delete(actor=tenant.actor, thread=long_thread, message=message, now=timezone.now())
    assert kept(long_thread) == before[1:]


def test_a_summary_of_messages_that_changed_meanwhile_is_thrown_away(long_thread: Thread) -> None:
    chunk = summaries.next_chunk(thread_id=long_thread.pk, workspace_id=long_thread.workspace_id)
    assert chunk is not None
    long_thread.messages.filter(position=chunk.to_position).update(content="changed")
    assert summaries.keep(chunk=chunk, text="of another text") is False
    assert not Summary.objects.exists()


def test_two_summaries_of_the_same_messages_are_one(long_thread: Thread) -> None:
    chunk = summaries.next_chunk(thread_id=long_thread.pk, workspace_id=long_thread.workspace_id)
    assert chunk is not None
    assert summaries.keep(chunk=chunk, text="first") is True
    assert summaries.keep(chunk=chunk, text="second") is False
    assert Summary.objects.get().text == "first"


def test_an_answer_in_a_full_thread_has_its_older_messages_summarized_afterwards(
    tenant: Tenant, long_thread: Thread
) -> None:
    from procrastinate.contrib.django.models import ProcrastinateJob

    answer(tenant, long_thread, "/say fine")
    job = ProcrastinateJob.objects.get(task_name="threads.summarize", args__thread_id=str(long_thread.pk))
    assert job.args == {"thread_id": str(long_thread.pk), "workspace_id": str(long_thread.workspace_id)}
    assert job.queue_name == "afterwards"


def test_a_failing_provider_leaves_no_summary(long_thread: Thread, model_server: FakeOpenAI) -> None:
    model_server.will(fake.status(500))
    assert summarize(long_thread) == 0
    assert not Summary.objects.exists()
