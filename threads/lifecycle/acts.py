"""What one asks for one thread by hand: archive, pin, delete, purge from the trash."""

from datetime import datetime

from django.db import transaction

from threadhub import audit
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.lifecycle import candidates, holds, purge, rules, trash
from threads.lifecycle.bundles import archive as bundling
from threads.lifecycle.models import Tombstone
from threads.models import Run, Thread


@transaction.atomic
def archive(*, actor: Actor, thread: Thread, now: datetime) -> Thread:
    """Move a thread's messages into a bundle of its own. Raises ThreadArchived, ThreadHeld, ThreadRunning."""
    actor.require(Permission.THREAD_ARCHIVE)
    locked = access.lock(thread=thread)
    holds.check(thread=locked)
    if Run.objects.of_thread(locked).live().exists():
        raise access.ThreadRunning
    bundle = bundling.archive(workspace_id=locked.workspace_id, thread_ids=[locked.id], now=now)
    audit.record(actor=actor, action="thread.archive", ids=[locked.wire_id], details={"bundle": bundle.name})
    return Thread.objects.select_related("agent").get(pk=locked.pk, workspace_id=locked.workspace_id)


@transaction.atomic
def pin(*, actor: Actor, thread: Thread, pinned: bool = True) -> Thread:
    """Keep a thread from all policies, or leave it to them again. A hold is more: a pinned thread can be archived,
    deleted and erased by hand. Raises ThreadNotFound, PermissionMissing."""
    actor.require(Permission.RETENTION_WRITE)
    rows = Thread.objects.select_for_update(of=("self",)).filter(pk=thread.pk, workspace_id=thread.workspace_id)
    locked = rows.filter(state__in=(Thread.State.ACTIVE, Thread.State.ARCHIVED)).first()
    if locked is None:
        raise access.ThreadNotFound
    locked.pinned = pinned
    locked.save(update_fields=["pinned"])
    audit.record(actor=actor, action="thread.pin" if pinned else "thread.unpin", ids=[locked.wire_id])
    return locked


@transaction.atomic
def delete(*, actor: Actor, thread: Thread, now: datetime, reason: str = Tombstone.Reason.CLIENT) -> str:
    """A client's deletion: into the trash where the workspace has one, else for ever. For callers who asked for leave.
    Returns `trash` or `purge`. Raises ThreadNotFound, ThreadHeld."""
    found = Thread.objects.select_for_update().filter(pk=thread.pk, workspace_id=thread.workspace_id)
    locked = found.exclude(state=Thread.State.TRASHED).first()
    if locked is None:
        raise access.ThreadNotFound
    holds.check(thread=locked)
    days = 0 if locked.state == Thread.State.TEMPORARY else rules.settings_of(locked.workspace_id).trash_days
    if days:
        trash.put(workspace_id=locked.workspace_id, thread_ids=[locked.id], now=now, days=days)
        return "trash"
    if locked.state == Thread.State.TEMPORARY:
        purge.remove(workspace_id=locked.workspace_id, thread_ids=[locked.id])
    else:
        doomed = candidates.load(workspace_id=locked.workspace_id, thread_ids=[locked.id])
        purge.destroy(workspace_id=locked.workspace_id, doomed=doomed, reason=reason, by=actor.identity, now=now)
    return "purge"


@transaction.atomic
def purge_now(*, actor: Actor, thread: Thread, now: datetime) -> None:
    """Destroy a thread in the trash before its time there is over. Raises NotInTrash, ThreadHeld, PermissionMissing."""
    actor.require(Permission.THREAD_DELETE)
    found = Thread.objects.select_for_update().filter(pk=thread.pk, workspace_id=actor.workspace_id)
    locked = found.filter(state=Thread.State.TRASHED).first()
    if locked is None:
        raise trash.NotInTrash
    holds.check(thread=locked)
    doomed = candidates.load(workspace_id=locked.workspace_id, thread_ids=[locked.id])
    by, reason = actor.identity, Tombstone.Reason.COMMAND
    purge.destroy(workspace_id=locked.workspace_id, doomed=doomed, reason=reason, by=by, now=now)
    details = {"messages": locked.message_count}
    audit.record(actor=actor, action="thread.purge", ids=[locked.wire_id], details=details)
