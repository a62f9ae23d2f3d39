"""`Idempotency-Key` on a POST: however often it is sent, it has one effect and the same answer, for 24 hours.

The record is inserted first and in the request's own transaction. A second request with the same key waits at the
unique index until the first has committed; then it joins the first one's run, or is given the first one's answer. A
request that failed leaves nothing behind, and may be sent again.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents.provider_errors import ERRORS
from threadhub.api.models import IdempotencyRecord
from threadhub.lib import json, sealed
from threadhub.lib.errors import Invalid
from threadhub.workspaces.actor import Actor
from threads.models import Run

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEPT = timedelta(hours=24)
MAX_LENGTH = 255
COUNTED = "idempotency_counted"  # of a request: its record's id, and the how manieth with this key it is

Handler = Callable[..., HttpResponseBase]


class KeyReused(Invalid):
    """This Idempotency-Key was used with another body."""

    code = "idempotency_key_reused"


class KeyMalformed(Invalid):
    """An Idempotency-Key has 1 to 255 visible ASCII characters."""

    code = "idempotency_key_malformed"


def key_of(request: Request) -> str | None:
    """The request's key, or None. Raises KeyMalformed."""
    key = request.headers.get(HEADER)
    if request.method != "POST" or key is None:
        return None
    if not 0 < len(key) <= MAX_LENGTH or not key.isascii() or not key.isprintable():
        raise KeyMalformed
    return key


def once(
    *, key: str, request: Request, actor: Actor, now: datetime, handler: Handler, answer_run: Callable[[Run], Any]
) -> HttpResponseBase:
    """Call `handler` unless this key had its effect already. `answer_run` makes the view's answer from a run."""
    with transaction.atomic():
        record, first = _claim(key=key, request=request, actor=actor, now=now)
        _count(record, request)
        if not first:
            run = _joined(record)
            if run is None and record.answer is None:
                first = True  # its run failed in a way that may be tried again, or was deleted with its thread
            else:
                replayed = answer_run(run) if run is not None else _replayed(record)
                replayed[REPLAYED] = "true"
                return replayed
        response = handler()
        _keep(record, response)
    return response


def was_asked_again(request: Request) -> bool:
    """Whether another request has come with this one's key since. False for a request without a key."""
    counted: tuple[UUID, int] | None = getattr(request, COUNTED, None)
    if counted is None:
        return False
    return IdempotencyRecord.objects.filter(pk=counted[0], asked__gt=counted[1]).exists()


def _count(record: IdempotencyRecord, request: Request) -> None:
    """One more request with this key; its record is ours until the commit."""
    record.asked += 1
    record.save(update_fields=["asked"])
    setattr(request, COUNTED, (record.pk, record.asked))


def remove_old(*, now: datetime) -> int:
    """Forget keys older than 24 hours; returns how many."""
    removed, _ = IdempotencyRecord.objects.filter(created_at__lt=now - KEPT).delete()
    return removed


def _claim(*, key: str, request: Request, actor: Actor, now: datetime) -> tuple[IdempotencyRecord, bool]:
    """The record of this key, and whether this request is the first with it. Raises KeyReused.

    A second request waits here, at the unique index, for the first one's commit.
    """
    route = hashlib.sha256(f"{request.method} {request.path}".encode()).digest()
    body = hashlib.sha256(json.dumps_sorted(request.data)).digest()
    where = {"workspace_id": actor.workspace_id, "caller": actor.caller, "route": route, "key": key}
    IdempotencyRecord.objects.filter(**where, created_at__lt=now - KEPT).delete()
    try:
        with transaction.atomic():
            return IdempotencyRecord.objects.create(**where, body_digest=body, created_at=now), True
    except IntegrityError:
        record = IdempotencyRecord.objects.select_for_update().get(**where)
    if bytes(record.body_digest) != body:
        raise KeyReused
    return record, False


def _joined(record: IdempotencyRecord) -> Run | None:
    """The run that the first request started, unless it failed in a way that may be tried again."""
    if record.run_id is None:
        return None
    run = Run.objects.filter(pk=record.run_id, workspace_id=record.workspace_id).select_related("thread").first()
    if run is None or (run.status == Run.Status.FAILED and _may_be_tried_again(run.error_code)):
        return None
    return run


def _may_be_tried_again(code: str) -> bool:
    error = ERRORS.get(code)
    return code in {"worker_lost", "worker_stopped", "budget_exceeded"} or (error is not None and error.retryable)


def _keep(record: IdempotencyRecord, response: HttpResponseBase) -> None:
    record.status = response.status_code
    record.location = response.get("Location", "")
    run = getattr(response, "run", None)
    record.run_id = run.pk if isinstance(run, Run) else None
    if record.run_id is None and isinstance(response, Response):
        record.answer = sealed.seal(b"" if response.data is None else json.dumps_stored(response.data))
    record.save()


def _replayed(record: IdempotencyRecord) -> HttpResponse:
    headers = {"Location": record.location} if record.location else None
    answer = sealed.unseal(bytes(record.answer or b""))  # sealed: it may hold a secret that is shown once
    return HttpResponse(answer, status=record.status, content_type="application/json", headers=headers)
