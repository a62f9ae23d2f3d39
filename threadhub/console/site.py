"""The admin site: unfold's, with our front page."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.core.exceptions import PermissionDenied, SuspiciousOperation
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

# kind of error: status, title, sentence
REFUSALS: dict[type[Exception], tuple[int, str, str]] = {
    PermissionDenied: (
        403,
        "You may not do this",
        "No role that you have in a workspace allows it. An owner of the workspace can give you one that does.",
    ),
    Http404: (404, "Nothing is here", "There is no such page, or it is of a workspace that you do not see."),
    SuspiciousOperation: (400, "This cannot be asked", "The address asks for something that this page does not know."),
}


class ConsoleSite(UnfoldAdminSite):  # type: ignore[misc]
    site_title = "threadhub"
    site_header = "threadhub"
    index_title = "Overview"
    index_template = "console/dashboard.html"
    enable_nav_sidebar = True
    login_form = SignInForm

    def admin_view(
        self, view: Callable[..., HttpResponseBase], cacheable: bool = False
    ) -> Callable[..., HttpResponseBase]:
        """A page that is refused, is not there or was asked for wrongly is a page too, with the way back."""
        inner: Callable[..., HttpResponseBase] = super().admin_view(view, cacheable)

        @wraps(inner)
        def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                return inner(request, *args, **kwargs)
            except (PermissionDenied, Http404, SuspiciousOperation) as error:
                if request.headers.get("Accept", "").startswith("application/json"):
                    raise
                return self.refusal(request, error)

        return answered

    def refusal(self, request: HttpRequest, error: Exception) -> TemplateResponse:
        status, title, why = next(told for kind, told in REFUSALS.items() if isinstance(error, kind))
        said = str(error) if isinstance(error, PermissionDenied) else ""
        context = {**self.each_context(request), "title": title, "why": said or why, "content_title": title}
        if isinstance(error, DisallowedModelAdminLookup):  # without the filters the list is there
            context["plainly"] = request.path
        return TemplateResponse(request, "console/refusal.html", context, status=status)

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

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Of one app, for its page. The menu is our own (navigation.py); every page would ask for all."""
        return super().get_app_list(request, app_label) if app_label else []

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Unfold's search over the names of models. Each list has its own search box instead."""
        raise Http404


@by_door(Door.SIGN_IN)
def _record(user: User, action: str, details: dict[str, Any] | None = None) -> None:
    """Of a member of staff in no workspace: the console shows all of theirs."""
    audit.record(actor=audit.By(f"user:{user.pk}"), action=action, ids=[user.wire_id], details=details)
