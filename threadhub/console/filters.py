"""Filters of the console's lists. A value that no option has, or that cannot be read, finds nothing; it never fails."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.admin import ListFilter
from django.contrib.admin.options import ModelAdmin
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, Model, Q, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.forms import RangeDateForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from threadhub.agents.models import Agent
from threadhub.console import rights, zone
from threadhub.lib import ids
from threadhub.lib.any_of import Among
from threadhub.workspaces.models import EndUser, User, Workspace

BESIDE = ("p", "workspace", "agent", "_changelist_filters")  # with which a page is as soon full as without
OFFERED = 200  # options of a drop-down at most; the newest
# How unfold draws both. As Django's forms, each with a template for every part, filters are a sixth of a list's page.
SELECT, INPUT = UnfoldAdminSelectWidget().attrs["class"], UnfoldAdminTextInputWidget().attrs["class"]
FEW = 10_000  # rows that are found before a list's order is looked at; each workspace of the staff has its share


class ConsoleFilter(ListFilter):
    """A filter whose parameters are known beforehand (`names`), so that a list can refuse every other one."""

    names: ClassVar[Sequence[str]]
    in_order: ClassVar[bool] = False  # an index finds what it chooses, newest first
    looks_at_each: ClassVar[bool] = False  # no index does: a page looks through so many rows at most
    template = "console/filter.html"

    def __init__(
        self, request: HttpRequest, params: dict[str, Any], model: type[Model], model_admin: "ModelAdmin[Any]"
    ) -> None:
        super().__init__(request, params, model, model_admin)
        self.request, self.model = request, model
        for name in self.names:
            values = params.pop(name, None)
            value = values[-1] if isinstance(values, list) else values
            if value and "\x00" not in value:
                self.used_parameters[name] = value
            elif value:
                self.used_parameters[name] = ""  # PostgreSQL has no such text: nothing can match

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        raise NotImplementedError

    def either(self) -> Sequence[Q]:
        """What it chooses, where that are several sets of rows with an index each; `queryset` then leaves it to the
        page (keyset.page), which finds the newest of each."""
        return ()

    def among(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """What an index leaves to look at, in the list's order."""
        return self.queryset(request, queryset) if self.in_order else queryset

    def expected_parameters(self) -> list[str | None]:
        return list(self.names)

    def given(self, name: str | None = None) -> str | None:
        value = self.used_parameters.get(name or self.names[0])
        return value if isinstance(value, str) else None


class OptionFilter(ConsoleFilter):
    """One of some options. An address may name another, which is shown as chosen too."""

    def options(self) -> list[tuple[str, str]]:
        raise NotImplementedError

    def named(self, value: str) -> str:
        """What a value that is not offered is called."""
        return value

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """What has this value; for options of a column of the same name."""
        known = value in [option for option, _ in self.options()]
        return queryset.filter(**{self.names[0]: value}) if known else queryset.none()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.given()
        return queryset if value is None else self.chosen(value, queryset)

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        given = self.given() or ""
        options = [("", "All"), *self.options()]
        if given not in [value for value, _ in options]:
            options.append((given, self.named(given)))
        yield {"name": self.names[0], "given": given, "options": options, "classes": SELECT}


def by_column(name: str, title: str, options: Sequence[tuple[str, str]] | None = None) -> type[OptionFilter]:
    """The filter of a column that has one of some values: of `options`, else of the column's own choices."""

    class ColumnFilter(OptionFilter):
        names = (name,)

        def options(self) -> list[tuple[str, str]]:
            column: Any = self.model._meta.get_field(name)
            return [(value, str(label)) for value, label in (column.flatchoices if options is None else options)]

    ColumnFilter.title = title
    return ColumnFilter


class RecordFilter(OptionFilter):
    """One of the records that staff see. The newest are offered."""

    prefix: ClassVar[str]  # of their wire ids
    in_order = True

    def visible(self) -> QuerySet[Any]:
        raise NotImplementedError

    def label(self, record: Any) -> str:
        return str(record.name)

    def options(self) -> list[tuple[str, str]]:
        return [(each.wire_id, self.label(each)) for each in self.visible()[:OFFERED]]

    def named(self, value: str) -> str:
        pk = decoded(self.prefix, value)
        record = self.visible().filter(pk=pk).first() if pk else None
        return self.label(record) if record else value


class WorkspaceFilter(RecordFilter):
    title = "Workspace"
    names = ("workspace",)
    prefix = Workspace.PREFIX
    parameter_name = "workspace"

    def visible(self) -> QuerySet[Workspace]:
        workspaces = Workspace.objects.only("name").order_by("-pk")
        allowed = rights.of(self.request).workspaces(None)
        if allowed is not None:
            workspaces = workspaces.filter(pk__in=list(rights.of(self.request).by_workspace))
        return workspaces

    def options(self) -> list[tuple[str, str]]:
        return sorted(super().options(), key=lambda option: option[1])

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        pk = decoded(Workspace.PREFIX, value)
        return queryset.filter(workspace_id=pk) if pk else queryset.none()


class AgentFilter(RecordFilter):
    title = "Agent"
    names = ("agent",)
    prefix = Agent.PREFIX

    def visible(self) -> QuerySet[Agent]:
        agents = Agent.objects.select_related("workspace").only("name", "workspace__name").order_by("-pk")
        held = rights.of(self.request)
        return agents if held.everything else agents.filter(workspace_id__in=list(held.by_workspace))

    def label(self, record: Agent) -> str:
        held = rights.of(self.request)
        several = held.everything or len(held.by_workspace) > 1
        return f"{record.name} · {record.workspace.name}" if several else record.name

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        pk = decoded(Agent.PREFIX, value)
        workspace_id = pk and Agent.objects.filter(pk=pk).values_list("workspace_id", flat=True).first()
        # The workspace beside the agent: the indexes begin with it.
        return queryset.filter(workspace_id=workspace_id, agent_id=pk) if workspace_id else queryset.none()


class TextFilter(ConsoleFilter):
    """A text that must match exactly."""

    _few: bool | None = None  # whether it finds FEW at most; asked once

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.given()
        if value is None:
            return queryset
        return self.matching(value, queryset) if value else queryset.none()

    def matching(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.names[0]: value})

    def narrowed(self, queryset: QuerySet[Any], condition: Q) -> QuerySet[Any]:
        """Those that meet a condition which has an index. Few are found before anything else: PostgreSQL may follow the
        list's order past all rows, until it has met a page of those that meet other filters too."""
        rows = self.model._default_manager.filter(condition).order_by()
        if self._few is None:
            most = FEW // max(len(rights.of(self.request).by_workspace), 1)
            alone = self.in_order and not self.request.GET.keys() - {*self.names, *BESIDE}
            self._few = not alone and rows[: most + 1].count() <= most
        return queryset.filter(Among(F("pk"), ArraySubquery(rows.values("pk"))) if self._few else condition)

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        name = self.names[0]
        yield {"name": name, "given": self.given() or "", "classes": INPUT}


class ExternalRefFilter(TextFilter):
    title = "External reference"
    names = ("external_ref",)
    in_order = True

    def matching(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # One index scan per workspace, instead of one over all threads.
        return queryset.filter(workspace__in=Workspace.objects.order_by().values("pk"), external_ref=value)


class UserFilter(TextFilter):
    """By user name, or by the product's own reference of an end user."""

    title = "Username"
    names = ("user",)
    in_order = True

    def matching(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = list(User.objects.filter(username=value).values_list("pk", flat=True))
        found += EndUser.objects.filter(reference=value).order_by().values_list("user_id", flat=True)[:OFFERED]
        workspaces = Workspace.objects.order_by().values("pk")
        mine = Q(user_id=found[0]) if len(found) == 1 else Q(user_id__in=found)
        return self.narrowed(queryset, mine & Q(workspace__in=workspaces)) if found else queryset.none()


class DaysFilter(ConsoleFilter):
    """From one day to another, both included, of the reader's zone, as the times in the rows. Names are `…_from` and
    `…_to`."""

    template = "unfold/filters/filters_date_range.html"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        try:
            return self.between(queryset, *self.days())
        except (ValueError, OverflowError):
            return queryset.none()

    def days(self) -> tuple[datetime | None, datetime | None]:
        """The first moment, and the first one that is too late. Raises ValueError, OverflowError."""
        first, last = (None if given is None else date.fromisoformat(given) for given in map(self.given, self.names))
        there = zone.of(self.request)
        return (
            zone.midnight(first, there) if first else None,
            zone.midnight(last + timedelta(days=1), there) if last else None,
        )

    def between(self, queryset: QuerySet[Any], first: datetime | None, end: datetime | None) -> QuerySet[Any]:
        raise NotImplementedError

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        name = self.names[0].removesuffix("_from")
        form = RangeDateForm(name=name, data={each: self.given(each) for each in self.names})
        for each, word in zip(self.names, ("from", "to"), strict=True):
            form.fields[each].widget.attrs["aria-label"] = f"{self.title} {word}"
        yield {"request": self.request, "parameter_name": name, "form": form}


class CreatedFilter(DaysFilter):
    title = "Created"
    names = ("created_from", "created_to")
    in_order = True

    def between(self, queryset: QuerySet[Any], first: datetime | None, end: datetime | None) -> QuerySet[Any]:
        queryset = queryset.filter(created_at__gte=first) if first else queryset
        return queryset.filter(created_at__lt=end) if end else queryset


def decoded(prefix: str, value: str) -> UUID | None:
    """The id behind a wire id; None for anything else."""
    try:
        return ids.decode(prefix, value)
    except ids.InvalidId:
        return None
