"""What staff arrange among themselves about a thread: whose it is, its labels, notes. No client is told any of it, no
model is given it, and none of it counts as activity."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from threadhub import audit
from threadhub.lib.errors import Invalid, NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import Membership, User
from threadhub.workspaces.permissions import ROLE_PERMISSIONS, Permission, Role
from threads.access import ThreadNotFound
from threads.models import Note, Thread

MOST_LABELS = 10
LONGEST_LABEL = 40
LONGEST_NOTE = 5_000
ANSWERING = [role.value for role in Role if Permission.THREAD_TAKE_OVER in ROLE_PERMISSIONS[role]]


class NotAssignable(Invalid):
    """This person does not answer threads of this workspace."""

    code = "not_assignable"


class BadLabel(Invalid):
    """A thread has ten labels at most, of 40 characters each."""

    code = "bad_label"


class EmptyNote(Invalid):
    """There is nothing in this note."""

    code = "empty_note"


class NoteNotFound(NotFound):
    """Note not found."""

    code = "note_not_found"


def colleagues(*, workspace_id: UUID) -> QuerySet[User]:
    """Whom threads of a workspace can be assigned to, by name."""
    places = Membership.objects.filter(workspace_id=workspace_id, role__in=ANSWERING).order_by().values("user_id")
    return User.objects.filter(pk__in=places, is_active=True).order_by("username", "pk")


@transaction.atomic
def assign(*, actor: Actor, thread: Thread, user_id: UUID | None) -> Thread:
    """Give a thread to a colleague, or to oneself, or to nobody. Raises NotAssignable, ThreadNotFound."""
    actor.require(Permission.THREAD_ANNOTATE)
    locked = _lock(thread)
    assignable = colleagues(workspace_id=thread.workspace_id)
    if user_id is not None and user_id != actor.user_id and not assignable.filter(pk=user_id).exists():
        raise NotAssignable
    locked.assignee_id = user_id
    locked.save(update_fields=["assignee_id"])
    details = {"assignee": f"user:{user_id}" if user_id else None}
    audit.record(actor=actor, action="thread.assign", ids=[thread.wire_id], details=details)
    return locked


@transaction.atomic
def label(*, actor: Actor, thread: Thread, labels: Sequence[str]) -> Thread:
    """Set a thread's labels, all of them. Raises BadLabel, ThreadNotFound."""
    actor.require(Permission.THREAD_ANNOTATE)
    wanted = sorted({" ".join(each.split()) for each in labels} - {""})
    if len(wanted) > MOST_LABELS or any(len(each) > LONGEST_LABEL for each in wanted):
        raise BadLabel
    locked = _lock(thread)
    locked.labels = wanted
    locked.save(update_fields=["labels"])
    audit.record(actor=actor, action="thread.label", ids=[thread.wire_id], details={"count": len(wanted)})
    return locked


@transaction.atomic
def note(*, actor: Actor, thread: Thread, text: str, now: datetime) -> Note:
    """Leave a note for colleagues. Raises EmptyNote, ThreadNotFound."""
    actor.require(Permission.THREAD_ANNOTATE)
    text = text.strip()[:LONGEST_NOTE]
    if not text:
        raise EmptyNote
    locked = _lock(thread)
    made = Note.objects.create(
        workspace_id=locked.workspace_id, thread_id=locked.pk, author=actor.identity, text=text, created_at=now
    )
    audit.record(actor=actor, action="note.create", ids=[made.wire_id, thread.wire_id])
    return made


@transaction.atomic
def remove_note(*, actor: Actor, thread: Thread, note_id: UUID) -> None:
    """Take one's own note away. Raises NoteNotFound, for those of others too."""
    actor.require(Permission.THREAD_ANNOTATE)
    rows = Note.objects.filter(pk=note_id, thread_id=thread.pk, workspace_id=thread.workspace_id)
    found = rows.filter(author=actor.identity).first()
    if found is None:
        raise NoteNotFound
    audit.record(actor=actor, action="note.delete", ids=[found.wire_id, thread.wire_id])
    found.delete()


def _lock(thread: Thread) -> Thread:
    """The row, in whatever state: an archived thread can be labelled too."""
    rows = Thread.objects.select_for_update(of=("self",)).filter(pk=thread.pk, workspace_id=thread.workspace_id)
    locked = rows.exclude(state=Thread.State.TEMPORARY).first()
    if locked is None:
        raise ThreadNotFound
    return locked
