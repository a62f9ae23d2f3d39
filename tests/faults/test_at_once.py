"""Two hundred questions at once, and one key a hundred times, through real web servers: documented counts, exactly."""

import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone

from chat_sessions.models import ChatSession
from tests.conftest import Tenant
from tests.faults.site import Web, until
from tests.faults.wire import STREAM, Answer, fetch, frames_of, opened
from threadhub.api.models import IdempotencyRecord
from threadhub.lib import ids
from threads.actions import threads
from threads.models import Message, Run, Thread

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("worker"),
]
POSTS = 200
RETRIES = 100


@pytest.fixture
def thread(tenant: Tenant) -> Thread:
    return threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())


def wire(thread: Thread) -> str:
    return ids.encode(Thread.PREFIX, thread.pk)


async def all_at_once(two_webs: list[Web], token: str, path: str, bodies: list[Any], **headers: str) -> list[Answer]:
    """One POST per body, half of them at each web server."""
    ports = [web.port for web in two_webs]
    asking = [
        fetch(ports[at % 2], "POST", path, token=token, body=body, headers=headers) for at, body in enumerate(bodies)
    ]
    return list(await asyncio.gather(*asking))


def questions(thread: Thread) -> Counter[str]:
    return Counter(thread.messages.filter(role="user").values_list("content", flat=True))


def gap_free(thread: Thread) -> bool:
    positions = list(thread.messages.order_by("position").values_list("position", flat=True))
    return positions == list(range(1, len(positions) + 1))


def post(tenant: Tenant, thread: Thread, two_webs: list[Web], strategy: str, prompt: str) -> list[Answer]:
    bodies = [{"prompt": f"{prompt} {number}", "double_texting": strategy} for number in range(POSTS)]
    answers = asyncio.run(all_at_once(two_webs, tenant.key, f"/threads/{wire(thread)}/invoke", bodies))
    until(lambda: not Run.objects.live().exists())
    return answers


def test_of_two_hundred_questions_one_at_a_time_is_taken_and_the_rest_are_refused(
    tenant: Tenant, thread: Thread, two_webs: list[Web]
) -> None:
    answers = post(tenant, thread, two_webs, "reject", "/slow 0.3\n/say answer to")
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) == {200, 409}
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"thread_running"}
    assert Run.objects.count() == statuses[200]
    assert set(Run.objects.values_list("status", flat=True)) == {"succeeded"}
    told = list(thread.messages.order_by("position").values_list("role", flat=True))
    assert told == ["user", "assistant"] * statuses[200]
    assert gap_free(thread)
    assert never_two_at_a_time()


def test_two_hundred_questions_wait_their_turn_and_all_are_answered_in_order(
    tenant: Tenant, thread: Thread, two_webs: list[Web]
) -> None:
    answers = post(tenant, thread, two_webs, "enqueue", "/say answer to")
    assert Counter(answer.status for answer in answers) == {200: POSTS}
    assert set(Run.objects.values_list("status", flat=True)) == {"succeeded"}
    runs = list(Run.objects.order_by("number"))
    assert [run.number for run in runs] == list(range(1, POSTS + 1))
    rows = list(thread.messages.order_by("position").values_list("role", "content", "run_id"))
    for run, (question, answer) in zip(runs, zip(rows[::2], rows[1::2], strict=True), strict=True):
        assert (question[0], *answer[::2]) == ("user", "assistant", run.pk)
        assert f"/say {answer[1]}" == question[1]
    assert questions(thread) == Counter(f"/say answer to {number}" for number in range(POSTS))
    assert gap_free(thread)
    assert never_two_at_a_time()


def test_of_two_hundred_questions_the_last_wins_and_all_are_kept(
    tenant: Tenant, thread: Thread, two_webs: list[Web]
) -> None:
    answers = post(tenant, thread, two_webs, "interrupt", "/slow 1\n/say answer to")
    assert Counter(answer.status for answer in answers) == {200: 1, 409: POSTS - 1}
    assert {answer.json["code"] for answer in answers if answer.status == 409} == {"run_cancelled"}
    statuses = list(Run.objects.order_by("number").values_list("status", flat=True))
    assert statuses == ["cancelled"] * (POSTS - 1) + ["succeeded"]
    assert questions(thread) == Counter(f"/slow 1\n/say answer to {number}" for number in range(POSTS))
    assert gap_free(thread)
    assert never_two_at_a_time()


def never_two_at_a_time() -> bool:
    """By the runs' own times; besides, the database refuses a second running run of a thread."""
    spans = sorted(Run.objects.filter(started_at__isnull=False).values_list("started_at", "finished_at"))
    return all(later[0] >= earlier[1] for earlier, later in pairwise(spans))


def one_effect(answers: list[Answer], status: int) -> None:
    """Every answer is the same; all but the first say that they were given before."""
    assert Counter(answer.status for answer in answers) == {status: len(answers)}, answers[0].body
    assert len({answer.body.replace(b": ping\n\n", b"") for answer in answers}) == 1
    assert len({answer.headers.get("location") for answer in answers}) == 1
    assert Counter(answer.headers.get("idempotent-replayed") for answer in answers) == {None: 1, "true": RETRIES - 1}


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("dialect", ["rest", "ai"])
def test_a_question_asked_a_hundred_times_under_one_key_is_asked_once(
    tenant: Tenant, thread: Thread, two_webs: list[Web], dialect: str, accept: str
) -> None:
    path, body = f"/threads/{wire(thread)}/invoke", {"prompt": "/slow 0.1\n/say only once"}
    if dialect == "ai":
        path = f"/api/ai/{tenant.agent.wire_id}/chat-completion/{wire(thread)}"
        body = {"messages": [{"role": "user", "content": "/slow 0.1\n/say only once"}]}  # type: ignore[dict-item]
    headers = {"Idempotency-Key": "one question", "Accept": accept}
    answers = asyncio.run(all_at_once(two_webs, tenant.key, path, [body] * RETRIES, **headers))
    one_effect(answers, 200)
    assert Run.objects.count() == IdempotencyRecord.objects.count() == 1
    assert list(Message.objects.order_by("position").values_list("role", flat=True)) == ["user", "assistant"]


@pytest.mark.parametrize("what", ["thread", "ai thread", "message", "chat session"])
def test_what_is_made_a_hundred_times_under_one_key_is_made_once(
    tenant: Tenant, thread: Thread, two_webs: list[Web], what: str
) -> None:
    path, body, status = {
        "thread": (f"/agents/{tenant.agent.wire_id}/threads", {"external_ref": "x"}, 200),
        "ai thread": ("/api/ai/threads", {"integration": tenant.agent.wire_id}, 201),
        "message": (f"/threads/{wire(thread)}/messages", {"role": "user", "content": "once"}, 201),
        "chat session": ("/chat_sessions", {"agent_id": tenant.agent.wire_id, "external_ref": "visitor"}, 200),
    }[what]
    headers = {"Idempotency-Key": "one thing"}
    answers = asyncio.run(all_at_once(two_webs, tenant.key, path, [body] * RETRIES, **headers))
    one_effect(answers, status)
    made = {
        "thread": Thread.objects.exclude(pk=thread.pk),
        "ai thread": Thread.objects.exclude(pk=thread.pk),
        "message": Message.objects.all(),
        "chat session": ChatSession.objects.all(),
    }[what]
    assert made.count() == 1


def test_other_bodies_at_once_under_one_key_are_refused_but_for_the_first(
    tenant: Tenant, thread: Thread, two_webs: list[Web]
) -> None:
    bodies = [{"role": "user", "content": f"text {number}"} for number in range(RETRIES)]
    headers = {"Idempotency-Key": "one thing"}
    path = f"/threads/{wire(thread)}/messages"
    answers = asyncio.run(all_at_once(two_webs, tenant.key, path, bodies, **headers))
    assert Counter(answer.status for answer in answers) == {201: 1, 422: RETRIES - 1}
    assert {answer.json["code"] for answer in answers if answer.status == 422} == {"idempotency_key_reused"}
    assert Message.objects.count() == 1


def test_a_reader_who_is_cut_off_and_asks_again_joins_the_running_run(
    tenant: Tenant, thread: Thread, two_webs: list[Web]
) -> None:
    path, body = f"/threads/{wire(thread)}/invoke", {"prompt": "/slow 0.05\n/length 30"}
    headers = {"Idempotency-Key": "one question", **STREAM}

    async def cut_and_again() -> Answer:
        first, second = (web.port for web in two_webs)
        async with opened(first, "POST", path, token=tenant.key, body=body, headers=headers) as response:
            await frames_of(response, 3)
        return await fetch(second, "POST", path, token=tenant.key, body=body, headers=headers)

    again = asyncio.run(cut_and_again())
    assert (again.status, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.frames[0].startswith(b"id: 1\n")
    assert b"message_stop" in again.frames[-1]
    assert Run.objects.count() == 1
