"""The admin site: unfold's, with our front page."""

from typing import Any

from django.db import transaction
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from unfold.sites import UnfoldAdminSite

from threadhub import audit
from threadhub.console import dashboard
from threadhub.console.sign_in_form import SignInForm
from threadhub.isolation.scope import Door, by_door
from threadhub.workspaces import sign_in
from threadhub.workspaces.models import User


class ConsoleSite(UnfoldAdminSite):  # type: ignore[misc]
    site_title = "threadhub"
    site_header = "threadhub"
    index_title = "Overview"
    index_template = "console/dashboard.html"
    enable_nav_sidebar = True
    login_form = SignInForm

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        page: TemplateResponse = super().index(request, {**(extra_context or {}), "overview": dashboard.read(request)})
        return page

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """Django's own page; who came in, or tried to, is in the audit trail."""
        answer: HttpResponseBase = super().login(request, extra_context)
        if request.method == "POST":
            if answer.status_code == 302 and isinstance(request.user, User):
                _record(request.user, "user.sign_in")
            else:
                sign_in.record_failure(request.POST.get("username", ""))
        return answer

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        user = request.user
        answer: HttpResponseBase = super().logout(request, extra_context)
        if isinstance(user, User):
            _record(user, "user.sign_out")
        return answer

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        user = request.user
        with transaction.atomic():
            answer: HttpResponseBase = super().password_change(request, extra_context)
            if request.method == "POST" and answer.status_code == 302 and isinstance(user, User):
                _record(user, "user.update", {"fields": ["password"]})
        return answer

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Unfold's search over the names of models. Each list has its own search box instead."""
        raise Http404


@by_door(Door.SIGN_IN)
def _record(user: User, action: str, details: dict[str, Any] | None = None) -> None:
    """Of a member of staff in no workspace: the console shows all of theirs."""
    audit.record(actor=audit.By(f"user:{user.pk}"), action=action, ids=[user.wire_id], details=details)
