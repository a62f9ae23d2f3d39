"""Exports in the staff console: asked for, made by the worker, fetched while they are there."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.files.storage import default_storage
from django.db.models import Func, IntegerField, QuerySet
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Coalesce
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from threadhub.console import display, identities, rights
from threadhub.console.base import ConsoleAdmin, column, created
from threadhub.console.filters import WorkspaceFilter, by_column
from threadhub.console.retention import words
from threadhub.console.retention.holds import SCOPES, none_such, target_of
from threadhub.workspaces.permissions import Permission
from threads.lifecycle import holds
from threads.lifecycle.exporting import exports
from threads.models import Export

FORMATS = [
    ("html", "Pages to read (HTML)"), ("markdown", "Markdown"), ("csv", "Tables (CSV)"),
    ("jsonl", "JSON lines, to be imported again"),
]  # fmt: skip

LEAST_REASON = 5  # characters


class ExportForm(forms.ModelForm):  # type: ignore[type-arg]
    """Of what, and in which form."""

    scope = forms.ChoiceField(label="Export", choices=SCOPES, widget=UnfoldAdminSelectWidget)
    target = forms.CharField(
        label="Which",
        required=False,
        max_length=1024,
        strip=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="The thread's or agent's id, the user's id or name, or the reference. Empty for a workspace.",
    )
    format = forms.ChoiceField(label="As", choices=FORMATS, widget=UnfoldAdminSelectWidget)
    reason = forms.CharField(
        label="Why",
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text="Kept in the audit trail. Some workspaces want it before anything that was said is read.",
    )
    typed = forms.CharField(
        label="Type the name of the workspace",
        max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "autocapitalize": "off"}),
        help_text="Whoever has the file can read all of it, and nothing here can take it back.",
    )

    class Meta:
        model = Export
        fields = ("workspace", "format")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.errors:
            return data
        workspace = data["workspace"]
        if workspace.transcript_reason and len(" ".join(data["reason"].split())) < LEAST_REASON:
            self.add_error("reason", "This workspace wants to know why. Say it in a few words.")
        if data["typed"] != workspace.name:
            self.add_error("typed", f"Type exactly: {workspace.name}")
        pk, reference = target_of(data["scope"], data["target"])
        try:
            if "\x00" in data["target"]:
                raise holds.HoldInvalid
            holds.check_target(workspace_id=workspace.pk, scope=data["scope"], target_id=pk, external_ref=reference)
        except holds.HoldInvalid:
            self.add_error("target", none_such(data["target"], "exported"))
        wanted = {"external_ref": reference, f"{data['scope']}_id": pk}
        self.selection = {name: value for name, value in wanted.items() if value is not None}
        return data


@admin.register(Export)
class ExportAdmin(ConsoleAdmin):
    reading = Permission.EXPORT_WRITE
    newest_by_workspace = True
    writing = Permission.EXPORT_WRITE
    may_be_added = True
    told_by = ("requested_by",)
    save_title = "Make the export"
    has_form = False
    form = ExportForm
    list_display = ("asked", "format_label", "state_label", "in_it", "big", "by", "workspace")
    list_filter = (WorkspaceFilter, by_column("state", "State"))
    list_select_related = ("workspace",)
    search_help_text = "Id of an export"
    add_fieldsets = ((None, {"fields": ("workspace", ("scope", "target"), "format", "reason", "typed")}),)
    asked = staticmethod(created)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Without the ids of all their threads, which are counted."""
        asked = Func(KeyTransform("threads", "selection"), function="jsonb_array_length", output_field=IntegerField())
        there: QuerySet[Any] = super().get_queryset(request).filter(expires_at__gt=timezone.now())
        counted: QuerySet[Any] = there.defer("selection").annotate(wanted=Coalesce(asked, 0))
        return counted

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<str:object_id>/progress/", view(self.progress_view), name="threads_export_progress"),
            path("<str:object_id>/download/", view(self.download_view), name="threads_export_download"),
            *super().get_urls(),
        ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.add_fieldsets

    def save_model(self, request: HttpRequest, obj: Export, form: Any, change: bool) -> None:
        actor = rights.of(request).actor(obj.workspace_id)
        reason = " ".join(form.cleaned_data["reason"].split())
        asked = exports.ask(actor=actor, format=obj.format, reason=reason, now=timezone.now(), **form.selection)
        obj.pk = asked.pk
        obj.refresh_from_db()

    def response_add(self, request: HttpRequest, obj: Export, post_url_continue: str | None = None) -> HttpResponse:
        return redirect(self.address_of(obj))

    def progress_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Whether it is made, for the script of the page."""
        return JsonResponse({"status": self._found(request, object_id).state, "done": 0})

    def download_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The file. That it was fetched stands in the trail."""
        export = self._found(request, object_id)
        if export.state != Export.State.DONE:
            raise Http404
        self.record(request, "download", export)
        file = default_storage.open(export.file)
        return FileResponse(file, as_attachment=True, filename=f"{export.wire_id}.zip", content_type="application/zip")

    def page(self, request: HttpRequest, export: Export) -> HttpResponseBase:
        context = {
            **self.page_context(request, export, "Export"),
            "export": export,
            "format": dict(FORMATS).get(export.format, export.format),
            "wanted": export.wanted,  # type: ignore[attr-defined]  # annotated
            "size": words.size(export.size) if export.size is not None else "",
            "asked_by": identities.name(export.requested_by),
            "progress_url": reverse("admin:threads_export_progress", args=(export.wire_id,)),
        }
        return TemplateResponse(request, "console/export.html", context)

    def _found(self, request: HttpRequest, object_id: str) -> Export:
        found = self.thing(request, object_id)
        if not isinstance(found, Export):
            raise Http404
        return found

    @column("As")
    def format_label(self, export: Export) -> str:
        return dict(FORMATS).get(export.format, export.format)

    @column("State")
    def state_label(self, export: Export) -> str:
        return display.badge(export.state, export.get_state_display())

    @column("Threads")
    def in_it(self, export: Export) -> str:
        return f"{export.wanted:,}"  # type: ignore[attr-defined]

    @column("Size")
    def big(self, export: Export) -> str:
        return words.size(export.size) if export.size is not None else "–"

    @column("Asked by")
    def by(self, export: Export) -> str:
        return identities.told(export, "requested_by")
