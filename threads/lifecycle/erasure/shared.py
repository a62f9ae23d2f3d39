"""What a person left in threads that are not theirs: their questions, with what was answered to them, their feedback,
their marks on branches and approvals. The thread stays its owner's. What they answered as staff, in the agent's place,
and noted for colleagues is the workspace's: it stays, and nobody can tell whose it was.

An archived thread is brought back, cleaned and archived again, in one transaction; the bundle that it was in is
rewritten without it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from threads import attachments, branches, summaries
from threads.lifecycle import holds, restore
from threads.lifecycle.bundles import archive as bundling
from threads.lifecycle.bundles import rewrite
from threads.lifecycle.bundles.reader import ThreadReader
from threads.lifecycle.erasure.inventory import is_in, runs_of
from threads.lifecycle.erasure.people import Person
from threads.models import Attachment, Branch, BundledThread, Feedback, Message, Note, Run, Thread, ToolApproval

ERASED = "user:erased"  # the author of what somebody said as staff who was erased since


@transaction.atomic
def clean(*, workspace_id: UUID, thread_id: UUID, person: Person, now: datetime) -> dict[str, int]:
    """Take a person's part out of somebody else's thread, and out of its bundle where some of it is there; returns what
    went. Raises ThreadHeld, Damaged."""
    thread = Thread.objects.select_for_update().filter(pk=thread_id, workspace_id=workspace_id).first()
    if thread is None:
        return {}
    holds.check(thread=thread)
    # Looked at under the lock: it may have been archived a moment ago.
    bundled = BundledThread.objects.filter(thread_id=thread_id, workspace_id=workspace_id).exists()
    bundled = bundled and is_in(ThreadReader.of_locked(thread), person)
    if bundled:
        _lift(thread, now)
    gone = _clean(thread, person, now)
    if bundled:
        _lay_down(thread, now)
    return gone


def _lift(thread: Thread, now: datetime) -> None:
    restore.insert([ThreadReader.of_locked(thread)])
    rewrite.drop(workspace_id=thread.workspace_id, thread_ids=[thread.pk], now=now)


def _lay_down(thread: Thread, now: datetime) -> None:
    """Archived again, and as it was in all else: in the trash, say, since that long."""
    life = {name: getattr(thread, name) for name in ("state", "archived_at", "trashed_at", "purge_after", "updated_at")}
    rows = Thread.objects.filter(pk=thread.pk, workspace_id=thread.workspace_id)
    rows.update(state=Thread.State.ACTIVE)
    bundling.archive(workspace_id=thread.workspace_id, thread_ids=[thread.pk], now=now)
    rows.update(**life)


def _clean(thread: Thread, person: Person, now: datetime) -> dict[str, int]:
    of_thread: dict[str, Any] = {"workspace_id": thread.workspace_id, "thread_id": thread.pk}
    gone = {"messages": 0, "runs": 0, "feedback": 0}
    for run in Run.objects.filter(runs_of(person), **of_thread).order_by("number"):
        for message in _messages_of(thread, run):
            gone["messages"] += _remove(thread, message, now)
        gone["runs"] += Run.objects.filter(pk=run.pk, workspace_id=thread.workspace_id).delete()[0] and 1
    unsigned: dict[str, Any] = {"author__in": person.identities, **of_thread}
    gone["answers"] = Message.objects.filter(person.in_time, **unsigned).update(author=ERASED)
    gone["notes"] = Note.objects.filter(person.in_time, **unsigned).update(author=ERASED)
    gone["feedback"] = Feedback.objects.filter(person.in_time, author__in=person.identities, **of_thread).delete()[0]
    Branch.objects.filter(person.in_time, created_by__in=person.identities, **of_thread).update(created_by="")
    ToolApproval.objects.filter(person.in_time, decided_by__in=person.identities, **of_thread).update(
        decided_by="", reason=""
    )
    if gone["messages"] and thread.title_source == Thread.TitleSource.AGENT:
        Thread.objects.filter(pk=thread.pk, workspace_id=thread.workspace_id).update(title=None, title_source=None)
    return gone


def _messages_of(thread: Thread, run: Run) -> list[Message]:
    """What the run said, and the question before it: the user's messages right before the run's first, or the last
    that the model was given."""
    rows = Message.objects.of_all_branches(thread)
    said = list(rows.filter(run_id=run.pk))
    first = said[0].position if said else None
    if first is None and run.context is not None and run.context.get("last"):
        first = int(run.context["last"]) + 1
    asked: list[Message] = []
    if first is not None:
        for message in rows.filter(position__lt=first).order_by("-position").iterator():
            if message.role != Message.Role.USER:
                break
            asked.append(message)
    return asked + said


def _remove(thread: Thread, message: Message, now: datetime) -> int:
    names = Attachment.objects.filter(workspace_id=thread.workspace_id, message_id=message.pk)
    attachments.remove_unreferenced(workspace_id=thread.workspace_id, names=list(names.values_list("file", flat=True)))
    rows = Message.objects.filter(pk=message.pk, workspace_id=thread.workspace_id)
    if not rows.order_by()._raw_delete(using="default"):
        return 0
    summaries.void(thread=thread, position=message.position)
    counted = branches.count_one_less(thread=thread, position=message.position)
    Thread.objects.filter(pk=thread.pk, workspace_id=thread.workspace_id).update(
        message_count=F("message_count") - counted, updated_at=now
    )
    return 1
