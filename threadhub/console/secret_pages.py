"""Objects with a secret that their makers are shown once, on a page of its own."""

from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from threadhub.console import once
from threadhub.console.base import ConsoleAdmin
from threadhub.console.deeds import Deed

if TYPE_CHECKING:
    Base = ConsoleAdmin
else:
    Base = object


class ShownOnce(Base):
    """After adding, and after a deed that yields a text, the browser is sent to `…/secret/`: for who did it, once."""

    page_title: ClassVar[str]
    shown_already: ClassVar[str]

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return redirect(self._page(), obj.wire_id)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.secret_view)
        return [path("<str:object_id>/secret/", view, name=self._page().removeprefix("admin:")), *super().get_urls()]

    def secret_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The secret just made."""
        secret = once.take(request, object_id)
        if secret is None:
            messages.warning(request, self.shown_already)
            return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": self.page_title,
            "secret": secret,
            "key_url": reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=(object_id,)),
        }
        page = TemplateResponse(request, "console/secret.html", context)
        page.headers["Cache-Control"] = "no-store"
        return page

    def after_deed(self, request: HttpRequest, deed: Deed, thing: Any, outcome: Any) -> HttpResponseBase | None:
        if not isinstance(outcome, str):
            return None
        once.put(request, thing.wire_id, outcome)
        return redirect(self._page(), thing.wire_id)

    def _page(self) -> str:
        return f"admin:{self.opts.app_label}_{self.opts.model_name}_secret"
