"""How a run is saved with its newest events, and how it ends other than by its own answer: cancelled, lost with its
worker, never taken.

Whoever ends a run takes its row's lock, as the worker's every batch of events does. So there is one end, nothing is
stored after it, and what was said until then is kept as a partial answer.
"""

from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from threadhub import audit
from threadhub.lib.errors import Conflict
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.actions.messages import Draft, store
from threads.models import Message, Run, RunEvent, Thread
from threads.runs import events, queue, spending, sql, waiting

MAX_ATTEMPTS = 3
WORKER_LOST = ("worker_lost", "The worker stopped before the answer was complete.")
SWEEP = 500  # lost runs ended per sweep; the next sweep comes in seconds
NOT_TAKEN = ("not_taken", "No worker took this run in time.")
NOT_ANSWERED = ("not_answered", "Nobody answered this in time.")


Pending = list[tuple[str, dict[str, Any]]]  # events that are not stored yet


class RunEnded(Conflict):
    """This run has already ended."""

    code = "run_ended"


@transaction.atomic
def cancel(*, actor: Actor, run: Run, now: datetime) -> Run:
    """End a live run; what was answered so far stays, marked as partial. One that waits for others waits no longer, and
    its approvals are void. Raises RunEnded, also for one that is in an archive, ThreadNotFound, PermissionMissing."""
    actor.require(Permission.AGENT_INVOKE)
    # Lock order everywhere: thread, then run.
    thread = Thread.objects.select_for_update().filter(pk=run.thread_id).first()
    if thread is None:
        raise access.ThreadNotFound
    locked = Run.objects.select_for_update().filter(pk=run.pk).first()
    if locked is None:
        raise RunEnded
    if locked.waiting:
        waiting.abandon(thread=thread, now=now)
        locked.status, locked.waiting = Run.Status.CANCELLED, False
        locked.save(update_fields=["status", "waiting"])
    elif locked.live:
        _end(locked, Run.Status.CANCELLED, now=now)
    else:
        raise RunEnded
    audit.record(actor=actor, action="run.cancel", ids=[run.wire_id])
    return locked


def cancel_if_live(*, actor: Actor, run: Run, now: datetime) -> None:
    """Cancel a run that may have ended, or gone with its thread, meanwhile. Raises PermissionMissing."""
    with suppress(RunEnded, access.ThreadNotFound):
        cancel(actor=actor, run=run, now=now)


def interrupt(*, actor: Actor, run: Run, now: datetime) -> None:
    """Cancel a live run for the sake of what `actor` does instead. Called with the thread locked."""
    locked = Run.objects.select_for_update().get(pk=run.pk)
    if locked.live:
        _end(locked, Run.Status.CANCELLED, now=now)
        audit.record(actor=actor, action="run.interrupt", ids=[run.wire_id])


@transaction.atomic
def end_if_lost(*, run: Run, now: datetime) -> bool:
    """End a live run whose lease ran out, or let another worker take it where nothing of it was shown yet.

    True when the run is over, whoever ended it.
    """
    thread = Thread.objects.select_for_update().filter(pk=run.thread_id).only("taken_over_at").first()
    if thread is None:
        return True
    locked = Run.objects.select_for_update().filter(pk=run.pk).first()
    if locked is None or not locked.live:
        return True
    if locked.lease_expires_at is None or locked.lease_expires_at >= now:
        return False
    if locked.status == Run.Status.RUNNING and may_start_over(locked):
        start_over(locked, now=now)
        return False
    if locked.status == Run.Status.QUEUED:
        _end(locked, Run.Status.EXPIRED, now=now, error=NOT_ANSWERED if thread.taken_over else NOT_TAKEN)
    else:
        _end(locked, Run.Status.FAILED, now=now, error=WORKER_LOST)
    return True


def said_so_far(run_id: UUID, workspace_id: UUID) -> str:
    """The text of the run's last, unfinished message, from its events: all since the last one that was stored."""
    text: list[str] = []
    rows = RunEvent.objects.filter(run_id=run_id, workspace_id=workspace_id).order_by("seq")
    for type, data in rows.values_list("type", "data"):
        if type == events.MESSAGE_STORED:
            text.clear()
        elif type == events.TEXT_DELTA:
            text.append(data["text"])
    return "".join(text)


def may_start_over(run: Run) -> bool:
    """Whether a running run can be taken by another worker: nothing was shown, no tool fired, not tried too often."""
    shown = RunEvent.objects.filter(run_id=run.id, workspace_id=run.workspace_id).exclude(type=events.MESSAGE_START)
    return run.attempt < MAX_ATTEMPTS and not shown.exists()


def start_over(run: Run, *, now: datetime) -> None:
    """Back to the workers: a locked run that lost its own before it had anything to show."""
    run.status = Run.Status.QUEUED
    run.save(update_fields=["status"])
    queue.take_turn(run, now=now)


def _end(run: Run, status: Run.Status, *, now: datetime, error: tuple[str, str] | None = None) -> None:
    """End a locked, live run: keep its partial answer, write its last events, tell the readers."""
    closing: Pending = []
    open_block = _open_block(run)
    if open_block is not None:
        closing.append((events.BLOCK_STOP, {"index": open_block}))
    text = said_so_far(run.id, run.workspace_id)
    cut_off = spending.of_lost(run, text) if error == WORKER_LOST and text else None
    if text:
        usage = cut_off.as_dict() if cut_off else None
        draft = Draft(
            role=Message.Role.ASSISTANT, content=text, run_id=run.id, partial=True, usage=usage, id=run.answer_id
        )
        (message,) = store(thread=run.thread, drafts=[draft])
        closing.append((events.MESSAGE_STORED, stored(message)))
    if error is not None:
        closing.append((events.ERROR, {"code": error[0], "message": error[1]}))
    closing.append((events.MESSAGE_STOP, {"status": status.value, "finish_reason": ""}))
    if run.input is not None:  # it was not its turn yet, but what was asked must not be lost
        queue.store_input(run)
    if run.continues is not None:  # what was approved for it and not called yet, nobody will call
        waiting.void(workspace_id=run.workspace_id, run_ids=[run.continues], now=now)
    run.status = status
    run.finished_at = now
    run.error_code, run.error_message = error or ("", "")
    save(run, closing)
    queue.call_next(thread=run.thread, now=now)
    if cut_off is not None:
        spending.charge(run, cut_off, now=now)


def save(run: Run, newest: Pending, *, lease_seconds: float | None = None) -> None:
    """Save a locked run together with its newest events, of which the very first tells that it begins, and tell its
    readers; with a lease of so long, or with that which it has."""
    newest = _from_the_beginning(run, newest)
    run.last_seq += len(newest)
    sql.save_run(run, events=newest, lease_seconds=lease_seconds)


def _from_the_beginning(run: Run, newest: Pending) -> Pending:
    """The first event of each run tells that it begins."""
    if run.last_seq or (newest and newest[0][0] == events.MESSAGE_START):
        return newest
    return [(events.MESSAGE_START, {"message_id": str(run.answer_id), "model": run.model}), *newest]


def stored(message: Message) -> dict[str, Any]:
    """The data of a `message_stored` event."""
    return {"message_id": str(message.id), "position": message.position, "role": message.role}


def _open_block(run: Run) -> int | None:
    last = (
        RunEvent.objects.filter(
            run_id=run.id, workspace_id=run.workspace_id, type__in=(events.BLOCK_START, events.BLOCK_STOP)
        )
        .order_by("-seq")
        .first()
    )
    return last.data["index"] if last is not None and last.type == events.BLOCK_START else None


def next_block(run: Run) -> int:
    """The index of the next block that a run tells."""
    rows = RunEvent.objects.filter(run_id=run.id, workspace_id=run.workspace_id, type=events.BLOCK_START)
    last = rows.order_by("-seq").first()
    return 0 if last is None else int(last.data["index"]) + 1


def take_from_worker(run: Run) -> None:
    """A locked, running run is queued again, for a person: what was said is kept as a partial message, and its worker
    finds that it is not its own any more. Its stream stays open."""
    closing: Pending = []
    open_block = _open_block(run)
    if open_block is not None:
        closing.append((events.BLOCK_STOP, {"index": open_block}))
    text = said_so_far(run.id, run.workspace_id)
    if text:
        draft = Draft(role=Message.Role.ASSISTANT, content=text, run_id=run.id, partial=True)
        (message,) = store(thread=run.thread, drafts=[draft])
        closing.append((events.MESSAGE_STORED, stored(message)))
    run.status = Run.Status.QUEUED
    save(run, closing)


def conclude_by_person(run: Run, said: Pending, *, now: datetime) -> None:
    """End a locked, live run of a thread that a person answers in: with the events of what they said, or with none
    where a newer question took its place."""
    stop = {"status": Run.Status.SUCCEEDED.value, "finish_reason": "stop"}
    run.status, run.finish_reason, run.finished_at = Run.Status.SUCCEEDED, "stop", now
    save(run, [*said, (events.MESSAGE_STOP, stop)])


def refuse(run: Run, *, error: tuple[str, str], now: datetime) -> None:
    """Fail a queued run that may not start any more. Called with thread and run locked."""
    _end(run, Run.Status.FAILED, now=now, error=error)


def end_all_lost(*, now: datetime) -> int:
    """End every live run whose lease ran out, each in its own transaction; returns how many were looked at."""
    lost = list(Run.objects.lost(now).order_by("lease_expires_at", "id")[:SWEEP])
    for run in lost:
        end_if_lost(run=run, now=now)
    return len(lost)
