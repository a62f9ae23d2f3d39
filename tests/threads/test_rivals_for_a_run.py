"""Thread and run are locked by one statement: who waited there sees what was done meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from tests.conftest import Tenant
from tests.threads.conftest import ask
from tests.threads.elsewhere import Elsewhere
from threadhub.isolation import scope
from threads.actions.messages import Draft
from threads.models import Message, Run, RunEvent, Thread
from threads.runs import answer, end, events, sql
from threads.runs.answer import Outcome
from threads.runs.recorder import RunOver
from threads.runs.spending import Spent

pytestmark = pytest.mark.django_db(transaction=True)


def claim(run: Run) -> Run | None:
    return answer.claim(run_id=run.pk, workspace_id=run.workspace_id, now=timezone.now())


def conclude(run: Run) -> None:
    outcome = Outcome(Run.Status.SUCCEEDED, "stop", drafts=[Draft(role="assistant", content="so", run_id=run.pk)])
    answer.conclude(run=run, pending=[], outcome=outcome, spent=Spent.of(run), now=timezone.now())


def meanwhile(run: Run, act: Callable[[Run], Any], done: Callable[[Run], Any]) -> tuple[Any, Exception | None]:
    """What `act` gave and raised, which waited for the thread while `done` was done."""
    gave: list[Any] = []

    def within() -> None:
        with scope.within(run.workspace_id):
            gave.append(act(run))

    rival = Elsewhere(within)
    with transaction.atomic():
        Thread.objects.select_for_update().get(pk=run.thread_id)
        rival.begin()
        rival.wait_until_it_waits()
        done(run)
    raised = rival.end()
    return (gave[0] if gave else None), raised


def test_an_end_is_numbered_after_what_was_said_meanwhile(tenant: Tenant, thread: Thread) -> None:
    run = claim(ask(tenant, thread, "hi"))
    assert run is not None

    def say(run: Run) -> None:
        said = [(events.TEXT_DELTA, {"index": 0, "text": text}) for text in ("one", "two")]
        assert sql.append_events(run_id=run.pk, workspace_id=run.workspace_id, events=said, lease_seconds=60)

    assert meanwhile(run, conclude, say) == (None, None)
    run.refresh_from_db()
    seqs = list(RunEvent.objects.filter(run_id=run.pk).order_by("seq").values_list("seq", flat=True))
    assert (run.status, run.last_seq) == ("succeeded", len(seqs))
    assert seqs == list(range(1, len(seqs) + 1))


def test_what_was_cancelled_meanwhile_is_over(tenant: Tenant, thread: Thread) -> None:
    run = claim(ask(tenant, thread, "hi"))
    assert run is not None
    _, raised = meanwhile(run, conclude, lambda run: end.cancel(actor=tenant.actor, run=run, now=timezone.now()))
    assert isinstance(raised, RunOver)
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert not Message.objects.filter(run_id=run.pk).exists()


def test_what_was_cancelled_meanwhile_is_not_taken(tenant: Tenant, thread: Thread) -> None:
    run = ask(tenant, thread, "hi")
    cancelled = meanwhile(run, claim, lambda run: end.cancel(actor=tenant.actor, run=run, now=timezone.now()))
    assert cancelled == (None, None)
    run.refresh_from_db()
    assert (run.status, run.attempt) == ("cancelled", 0)


def test_what_a_person_took_meanwhile_is_not_taken(tenant: Tenant, thread: Thread) -> None:
    run = ask(tenant, thread, "hi")
    taken = meanwhile(run, claim, lambda _: Thread.objects.filter(pk=thread.pk).update(taken_over_at=timezone.now()))
    assert taken == (None, None)
    run.refresh_from_db()
    assert (run.status, run.attempt) == ("queued", 0)


def test_two_workers_take_a_run_once(tenant: Tenant, thread: Thread) -> None:
    run = ask(tenant, thread, "hi")
    mine: list[Run | None] = []
    assert meanwhile(run, claim, lambda run: mine.append(claim(run))) == (None, None)
    assert mine[0] is not None
    run.refresh_from_db()
    assert (run.status, run.attempt) == ("running", 1)
