"""Filters of the list of threads. Each names the index that serves it: no list of threads may read all of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, UUIDField
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from threadhub.agents.models import Tool
from threadhub.console import rights
from threadhub.console.filters import OFFERED, DaysFilter, OptionFilter, TextFilter
from threadhub.workspaces.models import Workspace
from threads.models import BundledThread, Feedback, Thread, ToolUse

RATINGS = {"bad": Feedback.Rating.BAD, "good": Feedback.Rating.GOOD}


def looks_at_few(request: HttpRequest) -> bool:
    """Whether a page looks at few threads anyhow: what is found by words, or looked through, is bounded."""
    return any(request.GET.get(name) for name in ("q", "active_from", "active_to"))


def everywhere() -> Any:
    """The ids of all workspaces in sight: a condition on them lets an index that begins with the workspace serve."""
    return Workspace.objects.order_by().values("pk")


def having(queryset: QuerySet[Any], rows: QuerySet[Any], request: HttpRequest) -> QuerySet[Any]:
    """Those of which there are such rows. Where a page looks at few threads anyhow, each is asked for its own:
    PostgreSQL turns an EXISTS into a join, and may then begin with the rows of all threads."""
    if not looks_at_few(request):
        return queryset.filter(Exists(rows))
    asked: QuerySet[Any] = queryset.alias(found=Subquery(rows.values("thread_id")[:1]))
    return asked.filter(found__isnull=False)


class StateFilter(OptionFilter):
    """`thread_trashed` and `thread_archived` serve the rare states; most threads are active."""

    title = "State"
    names = ("state",)

    def options(self) -> list[tuple[str, str]]:
        hidden = Thread.State.TEMPORARY
        return [(value, str(label)) for value, label in Thread.State.choices if value != hidden]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = value in [option for option, _ in self.options()]
        return queryset.filter(state=value, workspace__in=everywhere()) if known else queryset.none()


class RatingFilter(OptionFilter):
    """By `feedback_by_rating` and, of archived threads, `bundled_rated_…`; "none" by the index of a thread's feedback
    and the key of the catalogue."""

    title = "Rating"
    names = ("rating",)

    def options(self) -> list[tuple[str, str]]:
        return [("bad", "Has a bad one"), ("good", "Has a good one"), ("none", "Not rated")]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if value == "none":
            of_thread = Feedback.objects.filter(thread_id=OuterRef("pk"), workspace_id=OuterRef("workspace_id"))
            archived = BundledThread.objects.filter(thread_id=OuterRef("pk"), counts__has_key="feedback")
            return queryset.filter(~Exists(of_thread.order_by()), ~Exists(archived.order_by()))
        if value not in RATINGS:
            return queryset.none()
        if not looks_at_few(self.request):
            return queryset
        asked = [Subquery(rows.values("thread_id")[:1]) for rows in _rated(value)]
        found: QuerySet[Any] = queryset.alias(found=Coalesce(*asked, output_field=UUIDField()))
        return found.filter(found__isnull=False)

    def either(self) -> Sequence[Q]:
        """Live threads by their feedback, archived ones by the catalogue."""
        value = self.given()
        if value not in RATINGS or looks_at_few(self.request):
            return ()
        return [Q(Exists(rows)) for rows in _rated(value)]


def _rated(value: str) -> list[QuerySet[Any]]:
    """The rows that say so of a thread."""
    of_thread = {"thread_id": OuterRef("pk"), "workspace_id": OuterRef("workspace_id")}
    live = Feedback.objects.filter(**of_thread, rating=RATINGS[value]).order_by()
    return [live, BundledThread.objects.filter(**of_thread, **{f"{value}__gt": 0}).order_by()]


class ToolFilter(OptionFilter):
    """Offered are the tools that agents have; an address may name those of clients too."""

    title = "Tool used"
    names = ("tool",)

    def options(self) -> list[tuple[str, str]]:
        tools = Tool.objects.order_by("name")
        held = rights.of(self.request)
        if not held.everything:
            tools = tools.filter(workspace_id__in=list(held.by_workspace))
        return [(name, name) for name in tools.values_list("name", flat=True).distinct()[:OFFERED]]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        uses = ToolUse.objects.filter(workspace_id=OuterRef("workspace_id"), thread_id=OuterRef("pk"), name=value)
        return having(queryset, uses.order_by(), self.request) if value else queryset.none()


class HandledFilter(OptionFilter):
    title = "Answered by"
    names = ("handled",)

    def options(self) -> list[tuple[str, str]]:
        return [("person", "A person"), ("agent", "The agent")]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if value not in ("person", "agent"):
            return queryset.none()
        return queryset.filter(taken_over_at__isnull=value == "agent")


class AssigneeFilter(OptionFilter):
    title = "Assigned to"
    names = ("assigned",)

    def options(self) -> list[tuple[str, str]]:
        return [("me", "Me"), ("anybody", "Anybody"), ("nobody", "Nobody")]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match value:
            case "me":
                return queryset.filter(workspace__in=everywhere(), assignee_id=self.request.user.pk)
            case "anybody":
                return queryset.filter(workspace__in=everywhere(), assignee_id__isnull=False)
            case "nobody":
                return queryset.filter(assignee_id__isnull=True)
        return queryset.none()


class ActivityFilter(DaysFilter):
    """By the last message. Threads are not indexed by it, so that appending stays cheap; none is older than itself, so
    those begun later are left out by the order's own index."""

    title = "Last activity"
    names = ("active_from", "active_to")
    looks_at_each = True

    def between(self, queryset: QuerySet[Any], first: datetime | None, end: datetime | None) -> QuerySet[Any]:
        active: QuerySet[Any] = queryset.annotate(active_at=Coalesce("last_activity_at", "created_at"))
        active = active.filter(active_at__gte=first) if first else active
        return active.filter(active_at__lt=end, created_at__lt=end) if end else active

    def among(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        try:
            _, end = self.days()
        except (ValueError, OverflowError):
            return queryset.none()
        return queryset.filter(created_at__lt=end) if end else queryset


class LabelFilter(TextFilter):
    """By `thread_labels`, exactly as it was written."""

    title = "Label"
    names = ("label",)

    def matching(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return self.narrowed(queryset, Q(workspace__in=everywhere(), labels__contains=[value]) & ~Q(labels=[]))
