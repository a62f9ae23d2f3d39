"""Which threads, and in which order: the `ai` dialect's names for what threads can be asked.

Unknown parameters are ignored, and so are those that its clients write for "nothing": empty, `undefined`, `null`.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import F
from django.db.models.expressions import OrderBy
from django.http import QueryDict
from django_filters import CharFilter, FilterSet

from threadhub.agents.models import Agent
from threadhub.lib import ids
from threadhub.workspaces import end_users
from threadhub.workspaces.models import Workspace
from threads.models import Thread
from threads.querysets.threads import ThreadQuerySet

ABSENT = ("", "undefined", "null")
SORT_FIELDS = {
    "_id": "id",
    "created": "created_at",
    "updated": "updated_at",
    "title": "title",
    "integration": "agent_id",
    "user": "user_id",
    "workspace": "workspace_id",
}
MAY_BE_EMPTY = ("title", "user_id", "updated_about")
DEFAULT_SORT = "-updated"


class ThreadFilters(FilterSet):  # type: ignore[misc]  # django-filter has no types
    """`integration`, `user`, `workspace` and `sort`, inside what the actor may see. An unknown id matches nothing."""

    integration = CharFilter(method="by_integration", label="The id of an integration.")
    user = CharFilter(method="by_user", label="The id of a user, or your own reference of an end user.")
    workspace = CharFilter(method="by_workspace", label="The id of a workspace.")
    sort = CharFilter(
        method="by_sort", label=f"Fields of {', '.join(SORT_FIELDS)}, spaces between; `-` before one: descending."
    )

    class Meta:
        model = Thread
        fields: list[str] = []

    def __init__(self, data: QueryDict | None = None, *args: Any, **kwargs: Any) -> None:
        present = {name: value for name, value in (data or QueryDict()).items() if str(value) not in ABSENT}
        super().__init__({"sort": DEFAULT_SORT, **present}, *args, **kwargs)

    def by_integration(self, threads: ThreadQuerySet, name: str, value: str) -> ThreadQuerySet:
        return _with_id(threads, Agent.PREFIX, value, threads.with_agent)

    def by_user(self, threads: ThreadQuerySet, name: str, value: str) -> ThreadQuerySet:
        user_id = end_users.meant(workspace_id=self.request.user.workspace_id, name=value)
        return threads.of_user(user_id) if user_id is not None else threads.none()

    def by_workspace(self, threads: ThreadQuerySet, name: str, value: str) -> ThreadQuerySet:
        return _with_id(threads, Workspace.PREFIX, value, lambda found: threads.filter(workspace_id=found))

    def by_sort(self, threads: ThreadQuerySet, name: str, value: str) -> ThreadQuerySet:
        return threads.order_by(*sort_order(value))


def sort_order(text: str) -> list[OrderBy]:
    """The order that `text` names, as Mongoose reads it: `-updated title`. Unknown fields do not count; the id decides
    last, in the direction of the field before it. What is empty comes before everything."""
    columns: dict[str, bool] = {}
    for field in text.replace(",", " ").split():
        name = field.removeprefix("-")
        if name in SORT_FIELDS:
            columns.setdefault(SORT_FIELDS[name], field.startswith("-"))
    columns = columns or {"updated_at": True}
    columns.setdefault("id", list(columns.values())[-1])
    if next(iter(columns)) == "updated_at":
        columns = {"updated_about": columns["updated_at"], **columns}  # its index gives most of the order
    return [_ordered(column, descending) for column, descending in columns.items()]


def _ordered(column: str, descending: bool) -> OrderBy:
    if column not in MAY_BE_EMPTY:
        return F(column).desc() if descending else F(column).asc()
    return F(column).desc(nulls_last=True) if descending else F(column).asc(nulls_first=True)


def _with_id(
    threads: ThreadQuerySet, prefix: str, text: str, found: Callable[[UUID], ThreadQuerySet]
) -> ThreadQuerySet:
    try:
        return found(ids.decode(prefix, text))
    except ids.InvalidId:
        return threads.none()
