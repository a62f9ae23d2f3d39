"""The figures of the console's front page: few, each bounded, so that it opens as fast over a million threads."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from threadhub.console import keyset, rights, statistics, zone
from threadhub.console.statistics import COUNTED, Readable, Statistics, bounded, within
from threadhub.workspaces.permissions import Permission
from threads.activity import first_id_at
from threads.models import Run, Thread

LISTED = 6


@dataclass(frozen=True, slots=True)
class Overview:
    threads_today: str
    live_runs: str
    failed_runs: str
    newest_threads: list[Thread]
    newest_failures: list[Run]
    statistics: Statistics


def read(request: HttpRequest) -> Overview | None:
    """What the reader may see of the last day; None for who may not read threads anywhere."""
    held = rights.of(request)
    if not held.may(Permission.THREAD_READ_ALL):
        return None
    allowed = held.workspaces(Permission.THREAD_READ_ALL)
    now = timezone.now()
    threads = within(Thread.objects.exclude(state=Thread.State.TEMPORARY), allowed)
    runs = within(Run.objects.all(), allowed)
    day_ago = now - timedelta(days=1)
    failed = runs.filter(pk__gte=first_id_at(day_ago), created_at__gte=day_ago, status=Run.Status.FAILED)
    return Overview(
        threads_today=_bounded(threads.filter(pk__gte=first_id_at(zone.today(now, zone.of(request))))),
        live_runs=_bounded(runs.live()),
        failed_runs=_bounded(failed),
        newest_threads=_newest(threads.select_related("agent", "workspace"), allowed),
        newest_failures=_newest(failed.select_related("agent", "thread"), allowed),
        statistics=statistics.read(
            of=Readable(allowed, held.workspaces(Permission.USAGE_READ), held.workspaces(Permission.RETENTION_READ)),
            now=now,
            with_queue=allowed is None,
        ),
    )


def _newest(rows: "QuerySet[Any]", workspaces: list[UUID] | None) -> list[Any]:
    """As the lists have them (base.ordered_by_time)."""
    if workspaces is None or len(workspaces) > keyset.MOST_APART:
        return keyset.first(rows.order_by("-pk"), LISTED)
    return keyset.first(rows.order_by("-created_at", "-pk"), LISTED, apart=workspaces)


def _bounded(queryset: "QuerySet[Any]") -> str:
    return bounded(queryset.order_by().values("pk")[: COUNTED + 1].count())
