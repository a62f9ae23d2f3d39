"""The worker: how it stops, and what it does about one that was killed."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.conftest import Tenant
from threadhub import tasks
from threadhub import worker as worker_module
from threadhub.worker import run_worker
from threads import own_asking
from threads.actions import threads
from threads.actions.messages import Draft
from threads.models import Message, Run, Thread
from threads.runs.execute import execute
from threads.runs.start import start

pytestmark = pytest.mark.django_db(transaction=True)


def ask(tenant: Tenant, prompt: str) -> Run:
    thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    return start(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content=prompt)], now=timezone.now()).run


def until(true: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def jobs() -> list[tuple[str, str]]:
    """What is in the queue, but for upkeep that comes by itself."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT task_name, status FROM procrastinate_jobs ORDER BY id")
        return [row for row in cursor.fetchall() if row[0] in ("threads.execute", "threadhub.greet")]


@contextmanager
def working(concurrency: int) -> Iterator[None]:
    """A worker in a thread of its own; the end of the `with` stops it as SIGTERM does."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(run_worker(concurrency=concurrency))

    def work() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(20)
        assert not thread.is_alive()


def test_it_ends_what_does_not_end_by_itself_when_it_is_stopped(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "SHUTDOWN_SECONDS", 0.2)
    run = ask(tenant, "/slow 0.1\n/length 500")
    with working(4):
        until(lambda: Run.objects.get(pk=run.pk).last_seq > 4)
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("failed", "worker_stopped")
    answer = Message.objects.get(run_id=run.pk, role="assistant")
    assert answer.partial
    assert answer.content
    assert ("threads.execute", "doing") not in jobs()  # it may be in the queue again, where it finds an ended run


def test_runs_that_can_end_in_time_do(tenant: Tenant) -> None:
    run = ask(tenant, "/slow 0.05\n/length 20")
    with working(4):
        until(lambda: Run.objects.get(pk=run.pk).status == "running")
    run.refresh_from_db()
    assert run.status == "succeeded"
    assert jobs() == []


def test_upkeep_goes_on_while_every_slot_is_taken(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "SHUTDOWN_SECONDS", 0.2)
    run = ask(tenant, "/hang 60")
    with working(1):
        until(lambda: Run.objects.get(pk=run.pk).status == "running")
        tasks.greet.defer()
        until(lambda: jobs() == [("threads.execute", "doing")], seconds=5)


def test_it_survives_the_loss_of_its_connections(tenant: Tenant) -> None:
    with working(4):
        first = ask(tenant, "/say one")
        until(lambda: Run.objects.get(pk=first.pk).status == "succeeded")
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
        second = ask(tenant, "/say two")
        until(lambda: Run.objects.get(pk=second.pk).status == "succeeded")


def test_a_title_that_a_stopping_worker_cannot_wait_for_is_made_by_the_next(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    async def ask_for_a_title(**_: Any) -> str:
        asked.set()
        await asyncio.sleep(60)
        return "never"

    monkeypatch.setattr(worker_module, "SHUTDOWN_SECONDS", 0.2)
    monkeypatch.setattr(own_asking, "ask", ask_for_a_title)
    with working(4):
        ask(tenant, "/say one")
        assert asked.wait(20)
    with connection.cursor() as cursor:
        cursor.execute("SELECT status, attempts FROM procrastinate_jobs WHERE task_name = 'threads.title'")
        assert cursor.fetchall() == [("todo", 1)]


def test_the_job_of_a_killed_worker_does_not_keep_its_lock() -> None:
    """A killed worker leaves its job as `doing`, with its lock, and a heartbeat that grows old."""
    left = tasks.greet.configure(lock="a thread").defer()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '31 seconds') RETURNING id"
        )
        cursor.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE id = %s", [*cursor.fetchone(), left]
        )
    tasks.greet.configure(lock="a thread").defer()
    with working(4):
        tasks.drop_jobs_of_dead_workers.configure(queueing_lock=None).defer(timestamp=0)
        until(lambda: jobs() == [])


def test_a_title_that_a_killed_worker_had_in_hand_is_made_by_the_next(tenant: Tenant) -> None:
    run = ask(tenant, "/say one")
    asyncio.run(execute(run_id=run.pk, workspace_id=run.workspace_id))
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH killed AS (INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '31 seconds')"
            " RETURNING id)"
            " UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM killed)"
            " WHERE task_name = 'threads.title'"
        )
    with working(4):
        tasks.drop_jobs_of_dead_workers.configure(queueing_lock=None).defer(timestamp=0)
        until(lambda: Thread.objects.get(pk=run.thread_id).title is not None)


def test_a_job_that_is_deferred_beside_it_belongs_to_its_transaction() -> None:
    """As the next run of a thread does, in a worker's thread, when the one before it is concluded."""
    with working(4):
        tasks.greet.defer()
        until(lambda: jobs() == [])
        with transaction.atomic():
            tasks.greet.configure(schedule_in={"hours": 1}).defer()
            transaction.set_rollback(True)
        assert jobs() == []
