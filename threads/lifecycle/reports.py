"""The record of every sweep, chained: each digest is over its report and the digest before it."""

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from threadhub.lib import json
from threads.models import Sweep

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('sweeps:' || %s::text, 0))"


@transaction.atomic
def keep(*, workspace_id: UUID, kind: str, cutoff: datetime, now: datetime, report: dict[str, Any]) -> Sweep:
    """Write a sweep's report after the last one of its workspace."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [str(workspace_id)])
    last = Sweep.objects.filter(workspace_id=workspace_id).order_by("-number").first()
    number, previous = (last.number + 1, last.digest) if last else (1, "")
    return Sweep.objects.create(
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


def digest(*, number: int, kind: str, cutoff: datetime, report: dict[str, Any], previous: str) -> str:
    """SHA-256 over a report and the digest before it."""
    content = {"number": number, "kind": kind, "cutoff": cutoff.isoformat(), "report": report, "previous": previous}
    return hashlib.sha256(json.dumps_sorted(content)).hexdigest()


def broken(*, workspace_id: UUID) -> list[int]:
    """The numbers of the reports that were altered, or before which one is missing."""
    faults = []
    expected, previous = 1, ""
    for sweep in Sweep.objects.filter(workspace_id=workspace_id).order_by("number").iterator():
        right = digest(
            number=sweep.number, kind=sweep.kind, cutoff=sweep.cutoff, report=sweep.report, previous=sweep.previous
        )
        if (sweep.number, sweep.previous, sweep.digest) != (expected, previous, right):
            faults.append(sweep.number)
        expected, previous = sweep.number + 1, sweep.digest
    return faults
