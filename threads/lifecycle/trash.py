"""The trash: hidden from every client, brought back by staff until `purge_after`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Case, Value, When

from threadhub import audit
from threadhub.lib.errors import Conflict, NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads.lifecycle.erasure import ledger
from threads.lifecycle.rules import settings_of
from threads.models import Thread


class NotInTrash(NotFound):
    """This thread is not in the trash."""

    code = "not_in_trash"


class TrashTimeOver(Conflict):
    """This thread's time in the trash is over; the next sweep destroys it, unless a hold or a policy keeps it."""

    code = "trash_time_over"


def is_over(purge_after: datetime | None, now: datetime) -> bool:
    """Whether the time in the trash is over: half-open, as all times of retention."""
    return purge_after is not None and purge_after <= now


def is_on(workspace_id: UUID) -> bool:
    """Whether the workspace turned its trash on."""
    return settings_of(workspace_id).trash_days > 0


def put(*, workspace_id: UUID, thread_ids: Sequence[UUID], now: datetime, days: int) -> int:
    """Into the trash, for so many days. For callers who hold the rows' locks and looked for holds."""
    threads = Thread.objects.filter(
        workspace_id=workspace_id, pk__in=list(thread_ids), state__in=("active", "archived")
    )
    return threads.update(
        state=Thread.State.TRASHED,
        trashed_at=now,
        purge_after=now + timedelta(days=days),
        pinned=False,
        updated_at=now,
    )


@transaction.atomic
def take_out(
    *, actor: Actor, thread_id: UUID, now: datetime, grace: timedelta, erased: ledger.Erased | None = None
) -> Thread:
    """Bring a thread back from the trash, as it was; no policy takes it again within the grace. `erased`: the ledger,
    where it was read already. Raises NotInTrash, TrashTimeOver, PersonErased.

    Where another thread has its reference by now, both have it; `by-ref` finds the newer.
    """
    actor.require(Permission.THREAD_ARCHIVE)
    found = Thread.objects.filter(pk=thread_id, workspace_id=actor.workspace_id, state=Thread.State.TRASHED)
    gone = ledger.erased(workspace_id=actor.workspace_id) if erased is None else erased
    if any(gone.has(each) for each in found.only(*ledger.ASKED)):
        raise ledger.PersonErased
    was = Case(When(bundle_id__isnull=False, then=Value("archived")), default=Value("active"))
    in_time = found.filter(purge_after__gt=now)
    if not in_time.update(state=was, trashed_at=None, purge_after=None, exempt_until=now + grace, updated_at=now):
        raise TrashTimeOver if found.exists() else NotInTrash
    thread = Thread.objects.select_related("agent").get(pk=thread_id, workspace_id=actor.workspace_id)
    audit.record(actor=actor, action="thread.untrash", ids=[thread.wire_id])
    return thread
