"""The daily sweep of each workspace, in its own night."""

import logging
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from threadhub.lib.errors import Failed
from threadhub.workspaces.models import Workspace
from threads.lifecycle import apply, candidates, rules, sweeper
from threads.lifecycle.bundles import orphans
from threads.lifecycle.candidates import Selection
from threads.lifecycle.sweeper import Bounds
from threads.models import RetentionPolicy, Sweep, SystemPolicy, Thread

logger = logging.getLogger(__name__)

HOUR = 3  # from then on in the workspace's time zone; on a night that has no such hour, the one after
MAX_SECONDS = 300.0  # then another job of the worker has its turn, and this one goes on ten minutes later
UNFINISHED = ("time", "stopped", "limit")


def due_workspaces(*, now: datetime) -> Iterator[UUID]:
    """Workspaces whose night has come and that have not been swept in it, and in which anything could be due."""
    everywhere = SystemPolicy.objects.filter(enabled=True).exists()
    for workspace_id in Workspace.objects.order_by("created_at", "id").values_list("pk", flat=True):
        own = RetentionPolicy.objects.filter(workspace_id=workspace_id, enabled=True).exists()
        trashed = Thread.objects.filter(workspace_id=workspace_id, state=Thread.State.TRASHED)
        if not (everywhere or own or trashed.exists()):
            continue
        night = start_of_night(now=now, zone=rules.settings_of(workspace_id).time_zone)
        swept = Sweep.objects.filter(
            workspace_id=workspace_id, kind=Sweep.Kind.RETENTION, cutoff__gte=night, report__whole=True
        )
        if not swept.exclude(report__ended__in=UNFINISHED).exists():
            yield workspace_id


def start_of_night(*, now: datetime, zone: str) -> datetime:
    """The last HOUR o'clock in the zone, at or before now. One per calendar day, however long the day is: on the day
    that skips or repeats an hour this is still one moment."""
    there = ZoneInfo(zone)
    local = now.astimezone(there)
    for day in (local.date(), local.date() - timedelta(days=1)):
        moment = datetime(day.year, day.month, day.day, HOUR, tzinfo=there).astimezone(now.tzinfo)
        if moment <= now:
            return moment
    raise ValueError("a day has more than 24 hours")  # pragma: no cover


def next_night(*, now: datetime, zone: str) -> datetime:
    """The next HOUR o'clock in the zone, after now."""
    there = ZoneInfo(zone)
    today = now.astimezone(there).date()
    moments = (
        datetime(day.year, day.month, day.day, HOUR, tzinfo=there).astimezone(now.tzinfo)
        for day in (today + timedelta(days=after) for after in range(3))
    )
    return next(moment for moment in moments if moment > now)


def sweep_all(*, stop: threading.Event | None = None) -> int:
    """Sweep every workspace that is due; returns how many threads something happened to. A workspace that fails does
    not keep the others from theirs. `stop` ends it after the batch in hand."""
    taken = 0
    try:
        with sweeper.alone():
            workspaces = list(due_workspaces(now=candidates.database_now()))
            for workspace_id in workspaces:
                taken += _sweep(workspace_id, stop or threading.Event())
            if workspaces:
                _collect_orphans()
    except sweeper.SweepRunning:
        logger.info("another sweep is running")
    return taken


def _collect_orphans() -> None:
    """What was purged from a bundle must not stay in a file that a crash left."""
    try:
        orphans.collect(now=candidates.database_now())
    except (OSError, Failed) as error:
        logger.error("orphans of the archive were not collected: %s", error)


def _sweep(workspace_id: UUID, stop: threading.Event) -> int:
    try:
        outcome = apply.apply(
            selection=Selection(workspace_id=workspace_id),
            cutoff=candidates.database_now(),
            bounds=Bounds(max_seconds=MAX_SECONDS, stop=stop),
        )
    except (OSError, Failed) as error:
        logger.error("the sweep of workspace %s failed: %s", workspace_id, error)
        return 0
    if outcome.ended == "brake":
        logger.warning("the brake stopped the sweep of workspace %s: %s would go", workspace_id, outcome.plan.total)
    return outcome.taken
