"""The console's lists: Django's change list, paged by key."""

from collections.abc import Sequence
from typing import Any

from django.contrib.admin.views.main import PAGE_VAR
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from unfold.views import ChangeList

from threadhub.console import display, identities, keyset


class NoCount(Paginator):  # type: ignore[type-arg]
    """What the templates ask of a paginator, for rows that are already there."""

    template_name = "console/pagination.html"


class KeysetChangeList(ChangeList):  # type: ignore[misc]
    """Newest first, a page at a time, without COUNT and without OFFSET.

    Django's page parameter carries the cursor; so searching or filtering begins at the first page again, as with
    Django's own pages.
    """

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
        )
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
        self.first_url = self.get_query_string({PAGE_VAR: None}) if page.newer else None
        self.is_all = page.newer is None and page.older is None

    def url_for_result(self, result: Model) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=(display.spelled_id(result),))
