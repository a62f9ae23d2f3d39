"""`kill -9` of the workers at every event of a run that speaks, calls a tool, calls it again and speaks again.

Each run of the walk waits at a point of its own; then all workers are killed at once, and another takes over. What is
asserted is what the database holds afterwards.
"""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from tests.conftest import Tenant
from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI, Recorded, Reply
from tests.faults import site
from tests.faults.gates import Gates, gates
from tests.faults.orders import Orders, orders
from tests.faults.site import until
from threadhub.agents import toolbox
from threadhub.agents.models import DoubleTexting, Tool
from threads.actions import threads
from threads.actions.messages import Draft
from threads.models import Message, Run, RunEvent, Thread
from threads.runs.start import Wish, start

pytestmark = pytest.mark.django_db(transaction=True)
LAST = 19  # no run of the walk has fewer events
CONCURRENCY = 12  # fewer than the threads that one worker has for the database, for most of its runs will keep one
SCHEMA = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}


def service(request: Recorded) -> Reply:
    """A model that looks at its last question: says something and asks for a tool, asks again, then answers.

    As strict as the vendor: a tool call without its result, or a result without its call, is refused.
    """
    messages = request.body["messages"]
    asked = [call["id"] for message in messages for call in message.get("tool_calls") or []]
    given = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    if Counter(asked) != Counter(given):
        return fake.status(400)
    last = max(at for at, message in enumerate(messages) if message["role"] == "user")
    name, step = messages[last]["content"], sum(message["role"] == "tool" for message in messages[last:])
    if name.startswith("again") or step == 2:
        return fake.answer("It ", "is ", f"sent: {name}", pause=0.05)
    tool = "unreachable_order" if name == "unreachable" else "order"
    call = (f"call_{step}", tool, {"order": f"{name}-{step}"})
    return fake.tool_calls(call, text="Let me see. " if step == 0 else "")


@pytest.fixture
def model(tenant: Tenant) -> Iterator[FakeOpenAI]:
    tenant.agent.provider, tenant.agent.model = "openai", "fake-1"
    tenant.agent.save()
    with FakeOpenAI(otherwise=service) as server:
        yield server


@pytest.fixture
def shop(tenant: Tenant) -> Iterator[Orders]:
    with orders() as server, full_queue() as unreachable:
        for name, url in (("order", server.url), ("unreachable_order", unreachable)):
            tool = toolbox.create(
                actor=tenant.actor, name=name, kind=Tool.Kind.HTTP, parameters=SCHEMA, config={"url": url}
            )
            tenant.agent.tools.add(tool, through_defaults={"workspace_id": tenant.workspace.pk})
        yield server


@contextmanager
def full_queue() -> Iterator[str]:
    """The address of a service whose queue of connections is full: who calls it waits before anything is sent."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


def ask(tenant: Tenant, name: str, thread: Thread | None = None) -> Run:
    now = timezone.now()
    thread = thread or threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=now)
    draft, wish = Draft(role="user", content=name), Wish(double_texting=DoubleTexting.REJECT)
    return start(actor=tenant.actor, thread=thread, drafts=[draft], now=now, wish=wish).run


def jobs(run: Run) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT status FROM procrastinate_jobs WHERE args->>'run_id' = %s", [str(run.pk)])
        return [status for (status,) in cursor.fetchall()]


def stored(run: Run) -> int:
    return RunEvent.objects.filter(run_id=run.pk).count()


@pytest.mark.usefixtures("model", "shop")
def test_a_run_survives_the_kill_of_its_worker_at_every_event(
    tenant: Tenant, model: FakeOpenAI, shop: Orders, tmp_path: Path
) -> None:
    variables = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "sk-fake", "DATABASE_POOL_SIZE": "16"}
    walking: dict[int, Run] = {}
    with gates() as held, psycopg.connect(site.database_url()) as locking:
        for seq in range(1, LAST + 1):
            walking[seq] = ask(tenant, f"event {seq}")
            held.close(walking[seq].pk, seq)
        fired = [ask(tenant, f"fired {step}") for step in (0, 1)]
        shop.holding |= {"fired 0-0", "fired 1-1"}
        unreachable = ask(tenant, "unreachable")
        unclaimed = ask(tenant, "unclaimed")
        locking.execute("SELECT 1 FROM threads_thread WHERE id = %s FOR UPDATE", [unclaimed.thread_id])
        with (
            site.worker(tmp_path, WORKER_CONCURRENCY=str(CONCURRENCY), **variables) as one,
            site.worker(tmp_path, WORKER_CONCURRENCY=str(CONCURRENCY), **variables) as two,
        ):
            until(lambda: held.waiting() == LAST)
            until(lambda: shop.fired["fired 0-0"] == shop.fired["fired 1-1"] == 1)
            until(lambda: stored(unreachable) == 7 and jobs(unclaimed) == ["doing"])
            one.kill()
            two.kill()
        at_the_kill = {seq: stored(run) for seq, run in walking.items()}
        let_half_of_them_commit(held, walking)
    assert all(number < seq for seq, number in at_the_kill.items())
    assert len(set(at_the_kill.values())) >= 8, at_the_kill
    dead_for_long()
    runs = [*walking.values(), *fired, unreachable, unclaimed]
    with site.worker(tmp_path, **variables):
        until(lambda: not Run.objects.live().exists())
        for run in runs:
            check(run, shop)
        assert shop.fired["unreachable-0"] == 0
        assert {run.status for run in refreshed(fired)} == {"failed"}
        assert refreshed([unclaimed])[0].status == refreshed([walking[1]])[0].status == "succeeded"
        again = [ask(tenant, "again", run.thread) for run in runs]
        until(lambda: not Run.objects.live().exists())
    assert {run.status for run in refreshed(again)} == {"succeeded"}
    for run in again:
        assert positions(run.thread) == list(range(1, len(positions(run.thread)) + 1))


@pytest.mark.parametrize("committed", [True, False])
def test_runs_survive_the_kill_of_their_worker_while_they_are_stored_together(
    tenant: Tenant, shop: Orders, tmp_path: Path, committed: bool
) -> None:
    """The statement of all of them may still be carried out, or be lost."""
    runs = [ask(tenant, f"/slow 0.05 /length 400 words\n/say {number}") for number in range(4)]
    with site.worker(tmp_path) as one:
        until(lambda: all(stored(run) >= 3 for run in runs))
        with psycopg.connect(site.database_url()) as locking:
            locking.execute("LOCK TABLE threads_runevent IN SHARE MODE")
            until(lambda: waiting_together() == 1)
            before = [stored(run) for run in runs]
            one.kill()
            if not committed:
                site.end_backends_of_the_dead()
    until(lambda: under_way() == 0)
    assert any(stored(run) > told for run, told in zip(runs, before, strict=True)) is committed
    dead_for_long()
    with site.worker(tmp_path):
        until(lambda: not Run.objects.live().exists())
    for run in runs:
        check(run, shop)


def waiting_together() -> int:
    """How many statements of several runs wait for a lock."""
    return under_way("AND wait_event_type = 'Lock'")


def under_way(condition: str = "") -> int:
    """How many statements of several runs are carried out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
            f" AND query LIKE '%WITH said%SKIP LOCKED%' AND pid <> pg_backend_pid() {condition}"
        )
        found: int = cursor.fetchone()[0]
        return found


def let_half_of_them_commit(held: Gates, walking: dict[int, Run]) -> None:
    """A killed worker's statement may still be carried out, or be lost: half of them each."""
    for seq, run in walking.items():
        if seq % 2:
            held.open(run.pk, seq)
    until(lambda: held.waiting() <= LAST // 2)
    site.end_backends_of_the_dead()


def dead_for_long() -> None:
    """As if the heartbeats of the killed had been missed for long enough; the wait itself shows nothing more."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '5 minutes'")


def refreshed(runs: list[Run]) -> list[Run]:
    return list(Run.objects.filter(pk__in=[run.pk for run in runs]))


def positions(thread: Thread) -> list[int]:
    return list(thread.messages.order_by("position").values_list("position", flat=True))


def check(run: Run, shop: Orders) -> None:
    """What holds of every run, wherever its worker was killed."""
    run.refresh_from_db()
    name = Message.objects.get(thread_id=run.thread_id, role="user").content  # once
    assert run.status == "succeeded" or (run.status, run.error_code) == ("failed", "worker_lost"), (name, run.status)
    assert positions(run.thread) == list(range(1, run.thread.messages.count() + 1))
    events: list[tuple[int, str, Any]] = list(
        RunEvent.objects.filter(run_id=run.pk).order_by("seq").values_list("seq", "type", "data")
    )
    assert [seq for seq, _, _ in events] == list(range(1, run.last_seq + 1)), name
    types = [type for _, type, _ in events]
    assert (types[0], types[-1]) == ("message_start", "message_stop"), name
    assert types.count("message_start") == types.count("message_stop") == 1
    assert types.count("block_start") == types.count("block_stop")
    answer = list(run.thread.messages.filter(role="assistant").order_by("position"))
    shown = "".join(data["text"] for _, type, data in events if type == "text_delta")
    assert shown == "".join(message.content or "" for message in answer), name
    assert run.status == "succeeded" or not answer or answer[-1].partial or answer[-1].tool_calls, name
    told = {data["message_id"] for _, type, data in events if type == "message_stored"}
    assert told == {str(message.pk) for message in run.thread.messages.exclude(role="user")}, name
    fired = [shop.fired[f"{name}-{step}"] for step in (0, 1)]
    assert max(fired) <= 1, (name, fired)
    assert run.thread.messages.filter(role="tool").count() <= sum(fired), name
