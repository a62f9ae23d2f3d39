"""The sweep of each workspace, in its own night: every day or every week."""

import logging
import threading
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfoNotFoundError

from django.db import connection

from threadhub.workspaces.models import Workspace
from threads.lifecycle import apply, candidates, failures, nights, reports, rules, sweeper
from threads.lifecycle.batches import Bounds
from threads.lifecycle.bundles import orphans
from threads.lifecycle.candidates import Selection
from threads.models import RetentionPolicy, RetentionSettings, Sweep, SystemPolicy, Thread

logger = logging.getLogger(__name__)

MAX_SECONDS = 300.0  # then another job of the worker has its turn, and this one goes on ten minutes later
FAILED = "failed"
UNFINISHED = ("time", "stopped", "limit", FAILED)


def due_workspaces(*, now: datetime) -> Iterator[UUID]:
    """Workspaces whose night has come and that have not been swept in it, and in which anything could be due."""
    for workspace_id in Workspace.objects.order_by("created_at", "id").values_list("pk", flat=True):
        if is_due(workspace_id=workspace_id, now=now):
            yield workspace_id


def is_due(*, workspace_id: UUID, now: datetime) -> bool:
    """Whether its night has come and it was not swept in it, and anything could be due in it."""
    own = RetentionPolicy.objects.filter(workspace_id=workspace_id, enabled=True)
    trashed = Thread.objects.filter(workspace_id=workspace_id, state=Thread.State.TRASHED)
    if not (own.exists() or trashed.exists() or SystemPolicy.objects.filter(enabled=True).exists()):
        return False
    settings = rules.settings_of(workspace_id)
    try:
        night = last_night(settings=settings, now=now)
    except (ZoneInfoNotFoundError, ValueError):
        logger.error("workspace %s is not swept: this machine knows no time zone %r", workspace_id, settings.time_zone)
        return False
    if night is None:
        return False
    swept = Sweep.objects.filter(
        workspace_id=workspace_id, kind=Sweep.Kind.RETENTION, cutoff__gte=night, report__whole=True
    )
    return not swept.exclude(report__ended__in=UNFINISHED).exists()


def last_night(*, settings: RetentionSettings, now: datetime) -> datetime | None:
    """When the last night of the workspace's schedule began, at or before now; None where there is none, as what is
    done by hand has no night, and a schedule none before it was chosen. Raises ZoneInfoNotFoundError or ValueError."""
    if settings.schedule == RetentionSettings.Schedule.BY_HAND:
        return None
    weekly = settings.schedule == RetentionSettings.Schedule.WEEKLY
    night = nights.start(now=now, zone=settings.time_zone, weekly=weekly)
    return None if settings.scheduled_since and night < settings.scheduled_since else night


def sweep_all(*, stop: threading.Event | None = None) -> int:
    """Sweep every workspace that is due; returns how many threads something happened to. A workspace that fails does
    not keep the others from theirs; between two of them, whoever else waits to sweep has a turn. `stop` ends it after
    the batch in hand."""
    stop = stop or threading.Event()
    taken = 0
    workspaces = list(due_workspaces(now=candidates.database_now()))
    try:
        for workspace_id in workspaces:
            if stop.is_set():
                return taken
            with sweeper.alone():
                if is_due(workspace_id=workspace_id, now=candidates.database_now()):  # still: another worker, perhaps
                    taken += _sweep(workspace_id, stop)
        if workspaces:
            with sweeper.alone():
                _collect_orphans()
    except sweeper.SweepRunning:
        logger.info("another sweep is running")
    return taken


def _collect_orphans() -> None:
    """What was purged from a bundle must not stay in a file that a crash left."""
    try:
        orphans.collect(now=candidates.database_now())
    except Exception as error:
        if not connection.is_usable():
            raise
        logger.exception("orphans of the archive were not collected: %s", failures.sentence(error))


def _sweep(workspace_id: UUID, stop: threading.Event) -> int:
    cutoff = candidates.database_now()
    try:
        outcome = apply.apply(
            selection=Selection(workspace_id=workspace_id),
            cutoff=cutoff,
            bounds=Bounds(max_seconds=MAX_SECONDS, stop=stop),
        )
    except sweeper.SweepRunning:
        raise
    except Exception as error:  # whatever it is, it must not keep the others from theirs
        if not connection.is_usable():
            raise
        logger.exception("the sweep of workspace %s failed", workspace_id)
        _report_failure(workspace_id, cutoff, error)
        return 0
    if outcome.ended == "brake":
        logger.warning("the brake stopped the sweep of workspace %s: %s would go", workspace_id, outcome.plan.total)
    for policy in outcome.plan.unreadable_ids:
        logger.warning("the sweep of workspace %s: %s cannot be read, and does nothing", workspace_id, policy)
    for sentence in outcome.failed:
        logger.error("the sweep of workspace %s: %s", workspace_id, sentence)
    return outcome.taken


def _report_failure(workspace_id: UUID, cutoff: datetime, error: Exception) -> None:
    """Once, however often the sweep is tried again and fails in the same way."""
    report = {"ended": FAILED, "whole": True, "taken": 0, "failed": [failures.sentence(error)]}
    last = Sweep.objects.filter(workspace_id=workspace_id, kind=Sweep.Kind.RETENTION).order_by("-number").first()
    if last is None or last.report != report:
        now = candidates.database_now()
        reports.keep(workspace_id=workspace_id, kind=Sweep.Kind.RETENTION, cutoff=cutoff, now=now, report=report)
