"""The admin site: unfold's, with our front page."""

from typing import Any

from django.http import Http404, HttpRequest
from django.template.response import TemplateResponse
from unfold.sites import UnfoldAdminSite

from threadhub.console import dashboard


class ConsoleSite(UnfoldAdminSite):  # type: ignore[misc]
    site_title = "threadhub"
    site_header = "threadhub"
    index_title = "Overview"
    index_template = "console/dashboard.html"
    enable_nav_sidebar = True

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        page: TemplateResponse = super().index(request, {**(extra_context or {}), "overview": dashboard.read(request)})
        return page

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Unfold's search over the names of models. Each list has its own search box instead."""
        raise Http404
