"""What a workspace used, added up by day, agent, model or purpose."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet, Sum

from threadhub.agents.models import DailyUsage
from threadhub.lib.errors import Invalid
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission

# What a row may stand for, and the columns that tell it.
GROUPS: dict[str, tuple[str, ...]] = {
    "day": ("day",),
    "agent": ("agent_id",),
    "model": ("provider", "model"),
    "purpose": ("purpose",),
}
SUMS = ("count", *DailyUsage.AMOUNTS)
MOST_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Report:
    """`total` and each of `rows` have SUMS; a row also the columns of what it is grouped by."""

    total: dict[str, Any]
    rows: list[dict[str, Any]]


def report(
    *, actor: Actor, first: date, last: date, agent_id: UUID | None = None, group_by: Sequence[str] = ()
) -> Report:
    """What was used from one day to another, both included. Raises PermissionMissing, Invalid for too many rows."""
    actor.require(Permission.USAGE_READ)
    used = DailyUsage.objects.filter(workspace_id=actor.workspace_id, day__gte=first, day__lte=last).order_by()
    if agent_id is not None:
        used = used.filter(agent_id=agent_id)
    columns = [column for group in group_by for column in GROUPS[group]]
    rows = list(_summed(used.values(*columns)).order_by(*columns)[: MOST_ROWS + 1]) if columns else []
    if len(rows) > MOST_ROWS:
        raise Invalid.at("query", "group_by", msg=f"These are more than {MOST_ROWS:,} rows: ask for fewer days.")
    total = used.aggregate(**{f"all_{name}": Sum(name) for name in SUMS})
    return Report({name: _or_none(name, total[f"all_{name}"]) for name in SUMS}, [_renamed(row) for row in rows])


def _summed(used: QuerySet[DailyUsage, dict[str, Any]]) -> QuerySet[DailyUsage, Any]:
    return used.annotate(rows=Count("id"), **{f"all_{name}": Sum(name) for name in SUMS})


def _renamed(row: dict[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in row.items() if name != "rows" and not name.startswith("all_")}
    return own | {name: _or_none(name, row[f"all_{name}"]) for name in SUMS}


def _or_none(name: str, value: Decimal | int | None) -> Decimal | int | None:
    """Nothing used is none of it; no cost known is no cost."""
    return value if name == "cost" or value is not None else 0
