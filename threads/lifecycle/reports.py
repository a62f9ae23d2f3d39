"""The record of every sweep, chained: each digest is over its report and the digest before it. That the newest is still
the newest says the audit trail, which tells each."""

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from threadhub import audit
from threadhub.audit.models import OF_SWEEPS, AuditEvent
from threadhub.lib import json
from threadhub.workspaces import actor as actors
from threads.models import Sweep

LATELY = 10  # events that were begun in another order than they were written
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('sweeps:' || %s::text, 0))"


@transaction.atomic
def keep(*, workspace_id: UUID, kind: str, cutoff: datetime, now: datetime, report: dict[str, Any]) -> Sweep:
    """Write a sweep's report after the last one of its workspace."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [str(workspace_id)])
    last = Sweep.objects.filter(workspace_id=workspace_id).order_by("-number").first()
    number, previous = (last.number + 1, last.digest) if last else (1, "")
    sweep = Sweep.objects.create(
        workspace_id=workspace_id,
        number=number,
        kind=kind,
        cutoff=cutoff,
        finished_at=now,
        created_at=now,
        report=report,
        previous=previous,
        digest=digest(number=number, kind=kind, cutoff=cutoff, report=report, previous=previous),
    )
    details = {"number": number, "digest": sweep.digest}
    audit.record(actor=actors.system(workspace_id), action=OF_SWEEPS, ids=[sweep.wire_id], details=details)
    return sweep


def digest(*, number: int, kind: str, cutoff: datetime, report: dict[str, Any], previous: str) -> str:
    """SHA-256 over a report and the digest before it."""
    content = {"number": number, "kind": kind, "cutoff": cutoff.isoformat(), "report": report, "previous": previous}
    return hashlib.sha256(json.dumps_sorted(content)).hexdigest()


def broken(*, workspace_id: UUID) -> list[int]:
    """The numbers of the reports that were altered, or before which one is missing; and of the newest, if it is not the
    one of which the trail tells."""
    faults = []
    expected, previous = 1, ""
    for sweep in Sweep.objects.filter(workspace_id=workspace_id).order_by("number").iterator():
        right = digest(
            number=sweep.number, kind=sweep.kind, cutoff=sweep.cutoff, report=sweep.report, previous=sweep.previous
        )
        if (sweep.number, sweep.previous, sweep.digest) != (expected, previous, right):
            faults.append(sweep.number)
        expected, previous = sweep.number + 1, sweep.digest
    told = _newest_told(workspace_id)
    if told is not None and told != (expected - 1, previous):
        faults.append(told[0])
    return sorted(set(faults))


def _newest_told(workspace_id: UUID) -> tuple[int, str] | None:
    """Number and digest of the newest report of which the trail tells; None where it is older than that."""
    events = AuditEvent.objects.filter(workspace_id=workspace_id, action=OF_SWEEPS).order_by("-created_at", "-id")
    newest = events.values_list("details", flat=True)[:LATELY]
    return max(((int(each["number"]), str(each["digest"])) for each in newest), default=None)
