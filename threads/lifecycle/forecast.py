"""What will be due for retention in the next days, if nothing is said or changed until then. Made once a day for each
workspace and kept, since it looks at every thread that could be due: the candidates and the resolver of a sweep."""

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db import transaction

from threadhub.workspaces.models import Workspace
from threads.lifecycle import candidates, resolver, rules
from threads.lifecycle.candidates import Selection
from threads.models import RetentionForecast, Thread

logger = logging.getLogger(__name__)

DAYS = 30
PAGE = 2_000
FRESH = timedelta(hours=23)  # so long a forecast is good


def make_due(*, now: datetime) -> int:
    """Make the forecasts that are a day old, or were never made; returns of how many workspaces."""
    fresh = RetentionForecast.objects.filter(made_at__gt=now - FRESH).values("workspace_id")
    made = 0
    for workspace_id in Workspace.objects.exclude(pk__in=fresh).order_by("pk").values_list("pk", flat=True):
        made += make(workspace_id=workspace_id, now=now)
    return made


def make(*, workspace_id: UUID, now: datetime) -> bool:
    """Make the forecast of a workspace anew; False where nothing will be taken."""
    counts = Counter(_taken(workspace_id, now))
    rows = [
        RetentionForecast(workspace_id=workspace_id, day=day, action=action, threads=count, made_at=now)
        for (day, action), count in sorted(counts.items())
    ]
    with transaction.atomic():
        # Of two at once the second waits, and replaces what the first has made.
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace_id)
        RetentionForecast.objects.filter(workspace_id=workspace_id).delete()
        RetentionForecast.objects.bulk_create(rows)
    return bool(rows)


def _taken(workspace_id: UUID, now: datetime) -> Iterator[tuple[date, str]]:
    """On which day which action will take each thread; what is due already is taken on the first day."""
    until = now + timedelta(days=DAYS)
    in_force = rules.in_force(workspace_id=workspace_id, now=now)
    trashed = Thread.objects.filter(workspace_id=workspace_id, state=Thread.State.TRASHED)
    if not in_force and not trashed.exists():
        return
    trash_on = rules.settings_of(workspace_id).trash_days > 0
    for page in candidates.due(selection=Selection(workspace_id=workspace_id), rules=in_force, now=until).pages(PAGE):
        for candidate in page:
            decision = resolver.resolve_for_sweep(
                candidate.facts, in_force, now=now, held=candidate.held, trash_on=trash_on
            )
            if decision.at is None or decision.at >= until:
                continue
            # At that moment it is asked again: the decision of now may only say when.
            there = max(decision.at, now)
            then = resolver.resolve_for_sweep(
                candidate.facts, in_force, now=there, held=candidate.held, trash_on=trash_on
            )
            if then.action is not None:
                yield there.astimezone(UTC).date(), then.action
