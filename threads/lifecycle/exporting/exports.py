"""Exports that somebody asks for: made by a worker, fetched while they are there, gone when they expire."""

import hashlib
import tempfile
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import QuerySet

from threadhub import audit
from threadhub.lib.errors import Conflict, DomainError, Invalid, NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import tasks
from threads.lifecycle import candidates
from threads.lifecycle.erasure import people
from threads.lifecycle.exporting import container
from threads.models import Export, Thread

KEPT = timedelta(days=2)
STATES = ("active", "archived")
READ_BYTES = 2**20


class ExportNotFound(NotFound):
    """Export not found."""

    code = "export_not_found"


class ExportUnfinished(Conflict):
    """This export is not made yet, or failed."""

    code = "export_unfinished"


def visible(*, actor: Actor, now: datetime) -> QuerySet[Export]:
    """The workspace's exports that have not expired, newest first. Raises PermissionMissing."""
    actor.require(Permission.EXPORT_WRITE)
    rows = Export.objects.filter(workspace_id=actor.workspace_id, expires_at__gt=now)
    return rows.order_by("-created_at", "-id")


def get(*, actor: Actor, export_id: UUID, now: datetime) -> Export:
    """An export of the workspace. Raises ExportNotFound, PermissionMissing."""
    found = visible(actor=actor, now=now).filter(pk=export_id).first()
    if found is None:
        raise ExportNotFound
    return found


@transaction.atomic
def ask(*, actor: Actor, format: str, now: datetime, reason: str = "", **selection: Any) -> Export:
    """Ask for an export: of the workspace, of one agent, of a user or of a reference, all that is named at once.
    What it holds is decided now; the worker makes it. `reason`: why, for the audit trail. Raises Invalid for a format
    that there is not, PermissionMissing."""
    actor.require(Permission.EXPORT_WRITE)
    if format not in container.FORMATS:
        raise Invalid.at("body", "format", msg="There is no such format.")
    threads = [str(each) for each in select(workspace_id=actor.workspace_id, **selection)]
    export = Export.objects.create(
        workspace_id=actor.workspace_id,
        format=format,
        selection={"threads": threads},
        requested_by=actor.identity,
        expires_at=now + KEPT,
        created_at=now,
    )
    details = {"threads": len(threads), **({"reason": reason} if reason else {})}
    audit.record(actor=actor, action="export.make", ids=[export.wire_id], details=details)
    tasks.make_export.defer(export_id=str(export.pk), workspace_id=str(export.workspace_id))
    return export


def select(
    *,
    workspace_id: UUID,
    agent_id: UUID | None = None,
    user_id: UUID | None = None,
    external_ref: str | None = None,
    thread_id: UUID | None = None,
) -> list[UUID]:
    """Threads by what is named; none of the trash."""
    wanted = {"agent_id": agent_id, "user_id": user_id, "external_ref": external_ref, "pk": thread_id}
    rows = Thread.objects.filter(workspace_id=workspace_id, state__in=STATES)
    rows = rows.filter(**{name: value for name, value in wanted.items() if value is not None})
    return list(rows.order_by("pk").values_list("pk", flat=True))


def of_person(*, workspace_id: UUID, kind: people.Kind, value: str | UUID) -> list[UUID]:
    """The threads that an erasure of the same person would erase, those of the trash too. Raises PersonNotFound."""
    person = people.find(workspace_id=workspace_id, kind=kind, value=value)
    rows = Thread.objects.filter(person.threads, workspace_id=workspace_id).exclude(state=Thread.State.TEMPORARY)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def make(*, workspace_id: UUID, export_id: UUID) -> None:
    """Make an export that was asked for; done again, it is made again."""
    export = Export.objects.filter(pk=export_id, workspace_id=workspace_id, state=Export.State.QUEUED).first()
    if export is None:
        return
    threads = [UUID(each) for each in export.selection["threads"]]
    with tempfile.TemporaryFile() as out:
        try:
            export.threads = container.write(
                out=out, workspace_id=workspace_id, thread_ids=threads, format=export.format
            )
        except DomainError as error:
            export.state, export.error_code = Export.State.FAILED, error.code
        else:
            _keep(export, out)
        export.finished_at = candidates.database_now()
    with transaction.atomic():
        known = Export.objects.select_for_update().filter(pk=export.pk, workspace_id=workspace_id)
        if known.filter(state=Export.State.QUEUED).exists():
            export.save()
            return
    if export.file:  # an erasure, or another worker, was faster
        default_storage.delete(export.file)


def remove_expired(*, now: datetime) -> int:
    """Remove what has expired; returns how many."""
    gone = list(Export.objects.filter(expires_at__lte=now).values_list("pk", "file"))
    for _, name in gone:
        if name:
            default_storage.delete(name)
    Export.objects.filter(pk__in=[pk for pk, _ in gone]).delete()
    return len(gone)


def _keep(export: Export, out: Any) -> None:
    out.seek(0)
    digest = hashlib.sha256()
    while part := out.read(READ_BYTES):
        digest.update(part)
    export.size, export.sha256 = out.tell(), digest.hexdigest()
    out.seek(0)
    export.file = default_storage.save(f"{export.workspace_id}/exports/{export.pk}.zip", File(out))
    export.state = Export.State.DONE
