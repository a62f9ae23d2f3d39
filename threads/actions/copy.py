"""A new thread with what another one holds up to a message."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from threadhub import audit
from threadhub.lib import ids
from threadhub.workspaces import external_refs
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access, attachments, branches, sql, summaries, tool_uses
from threads.actions import threads
from threads.models import Attachment, Message, Summary, Thread
from threads.path import Path

PAGE = 500


@transaction.atomic
def copy(
    *,
    actor: Actor,
    thread: Thread,
    now: datetime,
    position: int | None = None,
    message_id: UUID | None = None,
    metadata: dict[str, Any] | None = None,
    **fields: Any,
) -> Thread:
    """A new thread of the actor with the same agent, and with the messages of the active branch up to `position`, or of
    whichever branch has it up to the message `message_id`; without either, all of the active branch.

    Messages keep what they say and when they were said; they get new ids, positions without gaps, and files of their
    own. Runs and feedback stay behind. `fields` are those of a new thread; the title is the old one where it is not
    given, and so is the metadata. Copying counts as activity of the new thread. The old one is locked meanwhile.

    Raises MessageNotFound, ThreadArchived, and what making a thread raises.
    """
    actor.require(Permission.THREAD_WRITE)
    if actor.kind != "session":
        external_refs.check(actor=actor, external_ref=fields.get("external_ref"))
    source = access.lock(thread=thread)
    path = source.path
    if message_id is not None:
        position = access.get_message(thread=source, message_id=message_id).position
        path = branches.path_with(source, position)
    if "title" not in fields:
        fields.update(title=source.title, title_source=source.title_source)
    metadata = source.metadata if metadata is None else metadata
    made = threads.make(actor=actor, agent_id=source.agent_id, now=now, metadata=metadata, **fields)
    positions: list[int] = []
    for page in _pages(source, path, position):
        _store(made, page, first=len(positions) + 1)
        positions += [message.position for message in page]
    if positions:
        sql.take_positions(thread_id=made.id, workspace_id=made.workspace_id, count=len(positions))
        _copy_summaries(source, path, made, positions)
        tool_uses.note_all(thread_ids=[made.id], workspace_id=made.workspace_id)
    details = {"position": position, "messages": len(positions)}
    audit.record(actor=actor, action="thread.copy", ids=[made.wire_id, source.wire_id], details=details)
    made.refresh_from_db()
    return made


def _pages(thread: Thread, path: Path | None, until: int | None) -> Iterator[list[Message]]:
    rows = Message.objects.of_all_branches(thread).on(path)
    if until is not None:
        rows = rows.filter(position__lte=until)
    after = 0
    while page := list(rows.after(after)[:PAGE]):
        yield page
        after = page[-1].position


def _store(made: Thread, page: Sequence[Message], *, first: int) -> None:
    twins = {message.id: _twin(message, made, at) for at, message in enumerate(page, start=first)}
    Message.objects.bulk_create(twins.values())
    files = Attachment.objects.filter(workspace_id=made.workspace_id, message_id__in=list(twins))
    attachments.copy(attachments=files.order_by("message_id", "id"), messages=twins)


def _twin(message: Message, made: Thread, position: int) -> Message:
    """The message, whatever columns it has, as one of another thread."""
    same = {field.attname: getattr(message, field.attname) for field in Message._meta.concrete_fields}
    own = {"id": ids.new(), "thread_id": made.id, "position": position, "run_id": None, "searchable": True}
    return Message(**{**same, **own})


def _copy_summaries(source: Thread, path: Path | None, made: Thread, positions: Sequence[int]) -> None:
    """The summaries of which everything was copied."""
    whole = [
        Summary(
            workspace_id=made.workspace_id,
            thread=made,
            from_position=bisect_left(positions, summary.from_position) + 1,
            to_position=bisect_right(positions, summary.to_position),
            text=summary.text,
        )
        for summary in summaries.on(path, summaries.of_all_branches(source))
        if summary.to_position <= positions[-1]
    ]
    Summary.objects.bulk_create(whole)
