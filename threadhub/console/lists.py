"""The console's lists: Django's change list, paged by key."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from django.contrib.admin.views.main import PAGE_VAR
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from unfold.views import ChangeList

from threadhub.console import display, identities, keyset
from threadhub.console.filters import ConsoleFilter


class NoCount(Paginator):  # type: ignore[type-arg]
    """What the templates ask of a paginator, for rows that are already there."""

    template_name = "console/pagination.html"


class HistoryPages(Paginator):  # type: ignore[type-arg]
    """The pages of an object's history: counted, but not without end."""

    MOST = 100_000

    @cached_property
    def count(self) -> int:
        entries: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return entries[: self.MOST].count()


class KeysetChangeList(ChangeList):  # type: ignore[misc]
    """Newest first, a page at a time, without COUNT and without OFFSET.

    Django's page parameter carries the cursor; so searching or filtering begins at the first page again, as with
    Django's own pages.
    """

    note = ""  # about the whole list, below it
    nothing = ""  # what an empty list means, where that is good to know

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.title = str(self.opts.verbose_name_plural).capitalize()

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> Sequence[str]:
        return ["-pk"]  # replaced with the page; no column sorts, because none but the key has an index to sort by

    def get_results(self, request: HttpRequest) -> None:
        page = keyset.page(
            queryset=self.queryset,
            cursor=request.GET.get(PAGE_VAR),
            size=self.list_per_page,
            by_time=self.model_admin.ordered_by_time(request),
            among=self.among(request),
            apart=self.model_admin.apart(request),
            either=self.either(),
        )
        self.looked_through = page.looked_through
        self.result_list = page.rows
        identities.tell(page.rows, self.model_admin.told_by)
        self.result_count = self.full_result_count = len(page.rows)
        self.show_full_result_count = False
        self.show_admin_actions = False
        self.can_show_all = True
        self.multi_page = False
        self.paginator = NoCount(page.rows, self.list_per_page)
        self.newer_url = self.get_query_string({PAGE_VAR: page.newer}) if page.newer else None
        self.older_url = self.get_query_string({PAGE_VAR: page.older}) if page.older else None
        further = page.looked_through and request.GET.get(PAGE_VAR)
        self.first_url = self.get_query_string({PAGE_VAR: None}) if page.newer or further else None
        self.is_all = page.newer is None and page.older is None

    def _given(self) -> list[ConsoleFilter]:
        """The filters that the address has a value for."""
        return [each for each in self.filter_specs if isinstance(each, ConsoleFilter) and each.used_parameters]

    def either(self) -> Sequence[Q]:
        """Sets of rows of which a filter chooses one or another."""
        return next((sets for each in self._given() if (sets := each.either())), ())

    def among(self, request: HttpRequest) -> QuerySet[Any] | None:
        """The rows to look through for a page, newest first, where a filter has no index; None where each has, and for
        a search, which finds few."""
        given = self._given()
        if self.query or not any(each.looks_at_each for each in given):
            return None
        rows: QuerySet[Any] = self.root_queryset
        for each in given:
            rows = each.among(request, rows)
        return rows

    def url_for_result(self, result: Model) -> str:
        before, after = self._around_id
        return f"{before}{quote(display.spelled_id(result), safe='')}{after}"

    @cached_property
    def _around_id(self) -> tuple[str, str]:
        """What the addresses of all rows have before and after an id: Django would resolve each anew."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        before, _, after = reverse(name, args=("-",)).rpartition("-")
        return before, after
