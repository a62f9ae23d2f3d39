"""Which threads are on hold, in lists: by the holds in force, which are few, not by asking each thread."""

from typing import Any

from django.db.models import Q, QuerySet

from threadhub.console.filters import OptionFilter
from threads.models import Hold

COLUMNS = {"agent": "agent_id", "user": "user_id", "thread": "pk"}


class HeldFilter(OptionFilter):
    title = "Legal hold"
    names = ("held",)

    def options(self) -> list[tuple[str, str]]:
        return [("yes", "On hold"), ("no", "Not on hold")]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if value not in ("yes", "no"):
            return queryset.none()
        return queryset.filter(covered()) if value == "yes" else queryset.exclude(covered())


def covered() -> Q:
    """The condition of being on hold: one part for each workspace and kind of hold, each served by an index."""
    groups: dict[tuple[Any, str], list[Any]] = {}
    rows = Hold.objects.filter(released_at__isnull=True).order_by()
    columns = ("workspace_id", "scope", "target_id", "external_ref")
    for workspace_id, scope, target, reference in rows.values_list(*columns):
        groups.setdefault((workspace_id, scope), []).append(reference if scope == "external_ref" else target)
    found = Q(pk__in=[])
    for (workspace_id, scope), values in groups.items():
        if scope == Hold.Scope.WORKSPACE:
            found |= Q(workspace_id=workspace_id)
        elif scope == Hold.Scope.EXTERNAL_REF:
            found |= Q(workspace_id=workspace_id, external_ref__in=values, external_ref__isnull=False)
        else:
            column = COLUMNS[scope]
            found |= Q(**{"workspace_id": workspace_id, f"{column}__in": values, f"{column}__isnull": False})
    return found
