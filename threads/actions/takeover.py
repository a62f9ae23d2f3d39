"""A person answers in a thread, in the agent's place, and hands it back.

While a thread is taken over no model is asked. A question that comes, or was being answered, stays live and waits for
the person: whoever reads its stream is told the person's answer, marked as such. So there is one way to follow an
answer, whoever gives it.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction

from threadhub import audit
from threadhub.lib import ids
from threadhub.lib.errors import Conflict, Invalid
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.actions.messages import Draft, store
from threads.models import Message, Run, Thread
from threads.runs import end, events, queue, waiting
from threads.runs.spending import tokens_of

PATIENCE = timedelta(hours=24)  # how long a question waits for a person; then its run expires
SENT_AGAIN = timedelta(hours=24)  # so long a sending is known
LONGEST_ANSWER = 50_000  # characters
ANSWERED = "thread.answer"  # in the audit trail
SENDING = "sending"  # how ids of sendings are spelled
TAKEOVER_FIELDS = ["taken_over_at", "taken_over_by_id", "assignee_id"]


class NotTakenOver(Conflict):
    """Take the thread over before you answer in it."""

    code = "thread_not_taken_over"


class EmptyAnswer(Invalid):
    """There is nothing in this answer."""

    code = "empty_answer"


@transaction.atomic
def take_over(*, actor: Actor, thread: Thread, now: datetime) -> Thread:
    """Pause the agent in a thread. What it was answering waits for the person; what it said so far stays, marked as cut
    short. A colleague's thread changes hands. Raises ThreadNotFound, ThreadArchived, PermissionMissing."""
    actor.require(Permission.THREAD_TAKE_OVER)
    locked = access.lock(thread=thread)
    if locked.taken_over and locked.taken_over_by_id == actor.user_id:
        return locked
    if not locked.taken_over:
        waiting.abandon(thread=locked, now=now)
        keep_newest(thread=locked, now=now)
        locked.taken_over_at = now
    locked.taken_over_by_id = actor.user_id
    locked.assignee_id = actor.user_id
    locked.save(update_fields=TAKEOVER_FIELDS)
    audit.record(actor=actor, action="thread.take_over", ids=[locked.wire_id])
    return locked


@transaction.atomic
def answer(*, actor: Actor, thread: Thread, text: str, now: datetime, sending: UUID | None = None) -> Message | None:
    """Say something in the agent's place. It answers the question that waits, if one does, and ends its run.

    `sending` is the sender's own name for this: under it the same text is said once, however often it comes. None: it
    was said before. Who changed the text says something else.

    Raises NotTakenOver, EmptyAnswer, ThreadNotFound, ThreadArchived, PermissionMissing.
    """
    actor.require(Permission.THREAD_TAKE_OVER)
    locked = access.lock(thread=thread)
    sent = [] if sending is None else [ids.encode(SENDING, uuid5(sending, f"{locked.wire_id} {text}"))]
    if sent and audit.was_told(actor=actor, action=ANSWERED, ids=sent, within=SENT_AGAIN):
        return None  # the lock is ours, so whoever came first has committed
    if not locked.taken_over:
        raise NotTakenOver
    text = text.strip()[:LONGEST_ANSWER]
    if not text:
        raise EmptyAnswer
    run = _waiting_run(locked)
    known: dict[str, Any] = {"id": run.answer_id, "run_id": run.pk} if run else {}
    draft = Draft(role=Message.Role.ASSISTANT, content=text, author=actor.identity, **known)
    (message,) = store(thread=locked, drafts=[draft])
    if run is not None:
        end.conclude_by_person(run, _said(run, message), now=now)
    audit.record(actor=actor, action=ANSWERED, ids=[locked.wire_id, message.wire_id, *sent])
    return message


@transaction.atomic
def hand_back(*, actor: Actor, thread: Thread, now: datetime) -> Thread:
    """The agent goes on, with the question that still waits, if one does. Raises NotTakenOver, PermissionMissing."""
    actor.require(Permission.THREAD_TAKE_OVER)
    locked = access.lock(thread=thread)
    if not locked.taken_over:
        raise NotTakenOver
    give_back(actor=actor, thread=locked, now=now)
    return locked


def give_back(*, actor: Actor, thread: Thread, now: datetime) -> None:
    """The agent goes on in a thread that is taken over. For callers who hold the row's lock and may do so."""
    thread.taken_over_at = thread.taken_over_by_id = None
    thread.save(update_fields=["taken_over_at", "taken_over_by_id"])
    run = _waiting_run(thread)
    if run is not None:
        queue.take_turn(run, now=now)
    audit.record(actor=actor, action="thread.hand_back", ids=[thread.wire_id])


def wait_for_person(*, run: Run, now: datetime) -> None:
    """A new run of a thread that is taken over, its question stored, waits for the person. The caller saves it."""
    run.lease_expires_at = now + PATIENCE


def keep_newest(*, thread: Thread, now: datetime) -> None:
    """Of the live runs of a locked thread the newest waits for the person; the others are over without an answer of
    their own. Questions that waited for their turn are put into the thread."""
    live = list(Run.objects.of_thread(thread).live().select_for_update(of=("self",)).order_by("number"))
    for run in live:
        run.thread = thread
        queue.store_input(run)
        if run.status == Run.Status.RUNNING:
            end.take_from_worker(run)
    for run in live[:-1]:
        end.conclude_by_person(run, [], now=now)
    for run in live[-1:]:
        wait_for_person(run=run, now=now)
        run.save(update_fields=["input", "lease_expires_at"])


def _waiting_run(thread: Thread) -> Run | None:
    return Run.objects.of_thread(thread).live().select_for_update(of=("self",)).first()


def _said(run: Run, message: Message) -> end.Pending:
    """The events of a person's answer, as those of a model's are."""
    index = end.next_block(run)
    return [
        (events.BLOCK_START, {"index": index, "kind": "text", "author": events.PERSON}),
        (events.TEXT_DELTA, {"index": index, "text": message.content or "", "author": events.PERSON}),
        (events.BLOCK_STOP, {"index": index}),
        (events.MESSAGE_STORED, end.stored(message)),
        (events.USAGE, {name: count or 0 for name, count in tokens_of(run).items()}),
    ]
