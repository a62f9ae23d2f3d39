"""Telling of access alerts beyond this database, and forgetting old counts."""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from threadhub.audit.models import AccessAlert, AccessCount
from threadhub.lib import json

KEPT = timedelta(days=1)
PAUSE = timedelta(seconds=30)  # after the first try; doubled with each
MAX_ATTEMPTS = 12  # the last about a day after the first


def forget_counts(*, now: datetime) -> int:
    """Drop counts of windows long over; returns how many."""
    removed, _ = AccessCount.objects.filter(window_start__lt=now - KEPT).delete()
    return removed


def untold(*, now: datetime, limit: int = 20) -> Sequence[AccessAlert]:
    """Alerts that are to be sent now, oldest first."""
    waiting = AccessAlert.objects.filter(delivered_at=None, try_again_at__lte=now, attempts__lt=MAX_ATTEMPTS)
    return list(waiting.order_by("try_again_at", "id")[:limit])


def told(*, alert: AccessAlert, now: datetime) -> None:
    """The receiver has it."""
    AccessAlert.objects.filter(pk=alert.pk, workspace_id=alert.workspace_id).update(
        delivered_at=now, attempts=alert.attempts + 1
    )


def failed(*, alert: AccessAlert, now: datetime) -> None:
    """The receiver did not take it; it is tried again later."""
    AccessAlert.objects.filter(pk=alert.pk, workspace_id=alert.workspace_id).update(
        attempts=alert.attempts + 1, try_again_at=now + PAUSE * 2**alert.attempts
    )


def payload(alert: AccessAlert) -> dict[str, Any]:
    """What the receiver is sent."""
    return {
        "type": "access.alert",
        "id": alert.wire_id,
        "workspace_id": str(alert.workspace_id),
        "kind": alert.kind,
        "actor": alert.actor,
        "count": alert.count,
        "address": alert.address,
        "window_start": json.timestamp(alert.window_start),
        "created_at": json.timestamp(alert.created_at),
    }


def signature(body: bytes, *, secret: str, now: datetime) -> str:
    """`t=<unix seconds>,v1=<HMAC-SHA256 of "t.body" in hexadecimal>`: the time is signed too, against replays."""
    moment = str(int(now.timestamp()))
    return f"t={moment},v1={hmac.new(secret.encode(), moment.encode() + b'.' + body, 'sha256').hexdigest()}"
