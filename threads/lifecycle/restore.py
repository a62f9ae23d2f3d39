"""Bringing archived threads back: verified first, with their original ids, positions and times, in one transaction.

An identical row that is there already is left alone; a differing one aborts all of it and is named. The bundle's file
stays until nothing in the catalogue refers to it. Who was erased stays erased: a catalogue may be older than that.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from threadhub import audit
from threadhub.lib import ids
from threadhub.lib.errors import Conflict
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.lifecycle import intake
from threads.lifecycle.bundles import rewrite
from threads.lifecycle.erasure import ledger
from threads.models import BundledThread, Thread

GRACE = timedelta(days=7)  # so long no policy takes a restored thread again


class NotArchived(Conflict):
    """This thread is not archived."""

    code = "not_archived"


def restore(*, actor: Actor, thread: Thread, now: datetime, grace: timedelta = GRACE) -> Thread:
    """Make an archived thread active again. Raises NotArchived, RestoreConflict, Damaged, PersonErased,
    PermissionMissing."""
    restore_all(actor=actor, workspace_id=thread.workspace_id, thread_ids=[thread.pk], now=now, grace=grace)
    return Thread.objects.select_related("agent").get(pk=thread.pk, workspace_id=thread.workspace_id)


@transaction.atomic
def restore_all(
    *,
    actor: Actor,
    workspace_id: UUID,
    thread_ids: Sequence[UUID],
    now: datetime,
    grace: timedelta = GRACE,
    before: int = 0,
    erased: ledger.Erased | None = None,
) -> int:
    """Make archived threads active again, all or none; returns how many messages. `before`: how many the same command
    restored before; `erased`: the ledger, where it was read already. Raises NotArchived, RestoreConflict, Damaged,
    PersonErased, PermissionMissing."""
    actor.require(Permission.THREAD_ARCHIVE)
    rows = Thread.objects.select_for_update().filter(pk__in=list(thread_ids), workspace_id=workspace_id).order_by("pk")
    found = list(rows.only("state", "bundle_id", *ledger.ASKED))
    if len(found) != len(thread_ids):
        raise access.ThreadNotFound
    bundles = {each.pk: each.bundle_id for each in found if each.state == Thread.State.ARCHIVED and each.bundle_id}
    if len(bundles) != len(found):
        raise NotArchived
    gone = ledger.erased(workspace_id=workspace_id) if erased is None else erased
    if any(gone.has(each) for each in found):
        raise ledger.PersonErased
    readers = rewrite.locked_readers(workspace_id=workspace_id, bundles=bundles)
    count = insert(readers, before=before)
    Thread.objects.filter(workspace_id=workspace_id, pk__in=list(bundles)).update(
        state=Thread.State.ACTIVE, archived_at=None, bundle_id=None, exempt_until=now + grace, updated_at=now
    )
    BundledThread.objects.filter(workspace_id=workspace_id, thread_id__in=list(bundles)).delete()
    for bundle_id in {reader.entry.bundle_id for reader in readers}:
        rewrite.retire_if_empty(workspace_id=workspace_id, bundle_id=bundle_id, now=now)
    wire_ids = [ids.encode(Thread.PREFIX, each) for each in bundles]
    audit.record(actor=actor, action="thread.unarchive", ids=wire_ids, details={"messages": count})
    return count


insert = intake.insert
