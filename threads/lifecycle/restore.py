"""Bringing archived threads back: verified first, with their original ids, positions and times, in one transaction.

An identical row that is there already is left alone; a differing one aborts all of it and is named. The bundle's file
stays until nothing in the catalogue refers to it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from threadhub import audit
from threadhub.lib.errors import Conflict
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.lifecycle import intake
from threads.lifecycle.bundles import rewrite
from threads.models import BundledThread, Thread

GRACE = timedelta(days=7)  # so long no policy takes a restored thread again


class NotArchived(Conflict):
    """This thread is not archived."""

    code = "not_archived"


def restore(*, actor: Actor, thread: Thread, now: datetime, grace: timedelta = GRACE) -> Thread:
    """Make an archived thread active again. Raises NotArchived, RestoreConflict, Damaged, PermissionMissing."""
    (restored,) = restore_all(
        actor=actor, workspace_id=thread.workspace_id, thread_ids=[thread.pk], now=now, grace=grace
    )
    return restored


@transaction.atomic
def restore_all(
    *,
    actor: Actor,
    workspace_id: UUID,
    thread_ids: Sequence[UUID],
    now: datetime,
    grace: timedelta = GRACE,
    before: int = 0,
) -> list[Thread]:
    """Make archived threads active again, all or none; `before`: how many messages the same command restored before.
    Raises NotArchived, RestoreConflict, Damaged, PermissionMissing."""
    actor.require(Permission.THREAD_ARCHIVE)
    rows = Thread.objects.filter(pk__in=list(thread_ids), workspace_id=workspace_id).order_by("pk")
    threads = list(rows.select_for_update(of=("self",)).select_related("agent"))
    if len(threads) != len(thread_ids):
        raise access.ThreadNotFound
    if any(thread.state != Thread.State.ARCHIVED or thread.bundle_id is None for thread in threads):
        raise NotArchived
    readers = rewrite.locked_readers(workspace_id=workspace_id, threads=threads)
    count = insert(readers, before=before)
    BundledThread.objects.filter(workspace_id=workspace_id, thread_id__in=list(thread_ids)).delete()
    for bundle_id in {reader.entry.bundle_id for reader in readers}:
        rewrite.retire_if_empty(workspace_id=workspace_id, bundle_id=bundle_id, now=now)
    life = {"state": Thread.State.ACTIVE, "archived_at": None, "bundle_id": None, "exempt_until": now + grace}
    rows.update(**life, updated_at=now)
    for thread in threads:
        for name, value in {**life, "updated_at": now}.items():
            setattr(thread, name, value)
    wire_ids = [thread.wire_id for thread in threads]
    audit.record(actor=actor, action="thread.unarchive", ids=wire_ids, details={"messages": count})
    return threads


insert = intake.insert
