"""What can be done to the messages of a thread: appended, removed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F

from threadhub import audit
from threadhub.lib import ids
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access, attachments, branches, sql, summaries, tool_uses
from threads.attachments import Upload
from threads.lifecycle import holds
from threads.models import Message, Thread

NAMED_IN_AUDIT = 50  # of messages appended at once; their count and first position are kept in any case


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that has no position yet. `tool_calls` as the model keeps them: `[{"id", "name", "arguments"}]`."""

    role: str
    content: str | None = None
    kind: str = Message.Kind.TEXT
    title: str | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    tool_result: Any = None
    extra: dict[str, Any] = field(default_factory=dict)
    uploads: Sequence[Upload] = ()
    run_id: UUID | None = None
    partial: bool = False
    author: str = ""  # of a member of staff's answer, as Actor.identity spells them
    usage: dict[str, Any] | None = None
    sent_at: datetime | None = None
    id: UUID = field(default_factory=ids.new)


KEPT = tuple(each.name for each in fields(Draft) if each.name != "uploads")  # columns of a message


@transaction.atomic
def append(*, actor: Actor, thread: Thread, drafts: Sequence[Draft]) -> list[Message]:
    """Append messages of any role, as a server does that keeps its own conversation here.

    Raises ThreadNotFound, ThreadArchived, PermissionMissing.
    """
    actor.require(Permission.MESSAGE_APPEND)
    messages = store(thread=thread, drafts=drafts)
    if messages:
        named = [message.wire_id for message in messages[:NAMED_IN_AUDIT]]
        details = {"count": len(messages), "first_position": messages[0].position}
        audit.record(actor=actor, action="message.append", ids=[thread.wire_id, *named], details=details)
    return messages


def store(*, thread: Thread, drafts: Sequence[Draft]) -> list[Message]:
    """Write drafts at the thread's next positions. For callers inside a transaction who did the asking for leave.
    Raises ThreadNotFound, ThreadArchived."""
    if not drafts:
        return []
    rows = json.dumps([_row(draft) for draft in drafts], ensure_ascii=False)
    taken = sql.store_messages(thread_id=thread.id, workspace_id=thread.workspace_id, messages=rows, count=len(drafts))
    if taken is None:
        access.lock(thread=thread)  # says why
        raise access.ThreadNotFound
    first = taken.last - len(drafts) + 1
    messages = [_message(thread, draft, position, taken.at) for position, draft in enumerate(drafts, start=first)]
    for message, draft in zip(messages, drafts, strict=True):
        if draft.uploads:
            attachments.store(message=message, uploads=draft.uploads)
    calls = [call for draft in drafts for call in draft.tool_calls or []]
    if calls:
        tool_uses.note(thread=thread, calls=calls)
    return messages


@transaction.atomic
def delete(*, actor: Actor, thread: Thread, message: Message, now: datetime) -> None:
    """Remove one message for good, from every branch that has it. The positions of the others stay; summaries that
    covered it are void."""
    actor.require(Permission.MESSAGE_DELETE)
    locked = access.lock(thread=thread)
    holds.check(thread=locked)
    attachments.remove_files_of(thread=thread, message=message)
    rows = Message.objects.of_all_branches(thread).filter(pk=message.pk)
    if not rows.order_by()._raw_delete(using="default"):
        raise access.MessageNotFound
    tool_uses.forget(thread=locked, message=message)
    summaries.void(thread=locked, position=message.position)
    counted = branches.count_one_less(thread=locked, position=message.position)
    Thread.objects.filter(pk=thread.pk, workspace_id=thread.workspace_id).update(
        message_count=F("message_count") - counted, updated_at=now
    )
    audit.record(actor=actor, action="message.delete", ids=[thread.wire_id, message.wire_id])


def _row(draft: Draft) -> dict[str, Any]:
    """Columns by their names, ids and times as texts: as PostgreSQL reads a message out of JSON."""
    row = {name: getattr(draft, name) for name in KEPT}
    row["id"] = str(draft.id)
    row["run_id"] = None if draft.run_id is None else str(draft.run_id)
    row["sent_at"] = None if draft.sent_at is None else draft.sent_at.isoformat()
    return row


def _message(thread: Thread, draft: Draft, position: int, at: datetime) -> Message:
    place = {"workspace_id": thread.workspace_id, "thread_id": thread.id, "position": position}
    message = Message(**place, created_at=at, updated_at=at, **{name: getattr(draft, name) for name in KEPT})
    message._state.adding, message._state.db = False, "default"  # its row is there
    return message
