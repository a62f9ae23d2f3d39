"""Whose turn it is: the runs of a thread, one at a time, in the order of asking."""

import base64
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet

from threadhub.lib.compiled import Compiled
from threads import tasks
from threads.actions.messages import Draft, store
from threads.attachments import Upload
from threads.models import Run, Thread


def wait_for_turn(run: Run, drafts: Sequence[Draft]) -> None:
    """Keep the run's messages until those before it are answered. The caller saves the run."""
    run.input = [_packed(draft) for draft in drafts]
    run.lease_expires_at = None


def take_turn(run: Run, *, now: datetime) -> None:
    """Hand a queued run to the workers, with a time by which one must have taken it. Inside a transaction."""
    run.lease_expires_at = taken_by(now)
    Run.objects.filter(pk=run.pk, workspace_id=run.workspace_id).update(lease_expires_at=run.lease_expires_at)
    hand_over(run)


def taken_by(now: datetime) -> datetime:
    """When a worker must have taken a run whose turn it is: its lease until then."""
    return now + timedelta(seconds=settings.RUN_QUEUE_SECONDS)


def hand_over(run: Run) -> None:
    """Hand a run that has this lease to the workers. Inside a transaction."""
    tasks.execute.defer(run_id=str(run.id), workspace_id=str(run.workspace_id))


def call_next(*, thread: Thread, now: datetime) -> Run | None:
    """The run that has waited longest takes its turn. Called with the thread locked, when a run of it has ended."""
    waiting: Run | None = next(iter(_waiting(thread_id=thread.pk, workspace_id=thread.workspace_id)), None)
    if waiting is not None and Thread.objects.filter(pk=thread.pk, taken_over_at__isnull=True).exists():
        take_turn(waiting, now=now)
    return waiting


@Compiled
def _waiting(thread_id: UUID, workspace_id: UUID) -> QuerySet[Run]:
    """The run of a thread that has waited longest."""
    runs = Run.objects.filter(thread_id=thread_id, workspace_id=workspace_id, status=Run.Status.QUEUED)
    return runs.order_by("number")[:1]


def store_input(run: Run) -> None:
    """Put the messages of a run that waited into its thread, now that it is its turn."""
    if run.input is None:
        return
    store(thread=run.thread, drafts=[_unpacked(packed) for packed in run.input])
    run.input = None


def _packed(draft: Draft) -> dict[str, Any]:
    packed = asdict(draft)
    packed["id"] = str(draft.id)
    packed["sent_at"] = draft.sent_at.isoformat() if draft.sent_at else None
    packed["run_id"] = str(draft.run_id) if draft.run_id else None
    packed["uploads"] = [{**asdict(upload), "data": base64.b64encode(upload.data).decode()} for upload in draft.uploads]
    return packed


def _unpacked(packed: dict[str, Any]) -> Draft:
    uploads = [Upload(**{**upload, "data": base64.b64decode(upload["data"])}) for upload in packed["uploads"]]
    run_id = UUID(packed["run_id"]) if packed["run_id"] else None
    sent_at = datetime.fromisoformat(packed["sent_at"]) if packed["sent_at"] else None
    own = {"id": UUID(packed["id"]), "run_id": run_id, "uploads": uploads, "sent_at": sent_at}
    return Draft(**{**packed, **own})
