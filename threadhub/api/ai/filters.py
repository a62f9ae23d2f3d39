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
from threads.querysets.threads import Beginning, ThreadQuerySet

ABSENT = ("", "undefined", "null")
TITLE = Beginning("title")
SORT_FIELDS: dict[str, tuple[F | Beginning, ...]] = {
    "_id": (F("created_at"),),  # ids are by time
    "created": (F("created_at"),),
    "updated": (F("updated_about"), F("updated_at")),  # the first has an index, which gives most of the order
    "title": (TITLE,),
    "integration": (F("agent_id"),),
    "user": (F("user_id"),),
    "workspace": (),  # all threads of a list are of one
}
NEWEST_FIRST = ("integration", "user")  # of one of these; their indexes go on so
MAY_BE_EMPTY = (TITLE, F("user_id"), F("updated_about"))
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
    """The order that `text` names, as Mongoose reads it: `-updated title`. Unknown fields do not count. What is empty
    comes before everything.

    The id decides last, in the direction of the field before it. Threads of one integration or user come newest first,
    and the other way round where the field is descending. Of a title the first hundred characters decide.
    """
    fields: dict[str, bool] = {}
    for field in text.replace(",", " ").split():
        name = field.removeprefix("-")
        if name in SORT_FIELDS:
            fields.setdefault(name, field.startswith("-"))
    fields = fields or {"updated": True}
    last, descending = list(fields.items())[-1]
    if last in NEWEST_FIRST:
        descending = not descending
        fields.setdefault("created", descending)
    order = [_ordered(column, fields[name]) for name in fields for column in SORT_FIELDS[name]]
    return [*(order or [_ordered(F("created_at"), descending)]), _ordered(F("id"), descending)]


def _ordered(column: F | Beginning, descending: bool) -> OrderBy:
    if column not in MAY_BE_EMPTY:
        return column.desc() if descending else column.asc()
    return column.desc(nulls_last=True) if descending else column.asc(nulls_first=True)


def _with_id(
    threads: ThreadQuerySet, prefix: str, text: str, found: Callable[[UUID], ThreadQuerySet]
) -> ThreadQuerySet:
    try:
        return found(ids.decode(prefix, text))
    except ids.InvalidId:
        return threads.none()
