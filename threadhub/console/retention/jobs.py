"""What was asked of the worker: its progress while it goes on, its report afterwards."""

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from threadhub.console import display, identities
from threadhub.console.base import ConsoleAdmin, column, created, shown_id
from threadhub.console.deeds import Deed
from threadhub.console.filters import WorkspaceFilter, by_column
from threadhub.console.retention import words
from threadhub.workspaces.permissions import Permission
from threads.lifecycle import jobs
from threads.models import Bundle, RetentionJob

COUNTS = {
    "before": "Threads before", "active": "Active afterwards", "archived": "Archived afterwards",
    "trashed": "In the trash afterwards", "purged": "Destroyed so far",
}  # fmt: skip


@admin.register(RetentionJob)
class RetentionJobAdmin(ConsoleAdmin):
    reading = Permission.RETENTION_READ
    newest_by_workspace = True
    has_form = False
    told_by = ("asked_by",)
    list_display = ("asked", "kind_label", "status_label", "progress", "by", "workspace")
    list_filter = (WorkspaceFilter, by_column("kind", "Kind"), by_column("status", "Status"))
    list_select_related = ("workspace",)
    search_help_text = "Id of a job"
    shown_id = staticmethod(shown_id)
    asked = staticmethod(created)
    deeds = (
        Deed(
            name="stop",
            title="Stop",
            icon="stop_circle",
            permission=Permission.RETENTION_WRITE,
            question=lambda job: f"Stop this? {job}",
            consequence="It ends after the batch in hand. What it has done stays done.",
            done=lambda job: "It ends after the batch in hand.",
            do=lambda actor, thing, now: jobs.stop(actor=actor, job=thing, now=now),
            applies=lambda job: job.live and not job.stop_asked,
            instead="Let it go on",
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.progress_view)
        name = "threads_retentionjob_progress"
        return [path("<str:object_id>/progress/", view, name=name), *super().get_urls()]

    def progress_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """How far it is, for the script of the page."""
        job = self.thing(request, object_id)
        if job is None:
            raise Http404
        return JsonResponse(job.as_json())

    def page(self, request: HttpRequest, job: RetentionJob) -> HttpResponseBase:
        bundles = Bundle.objects.filter(workspace_id=job.workspace_id)
        context = {
            **self.page_context(request, job, str(job)),
            "job": job,
            "percent": 100 if not job.planned else min(100, round(100 * job.done / job.planned)),
            "sum": summary(job),
            "bundle": bundles.filter(pk=job.bundle_id).first() if job.bundle_id else None,
            "asked_by": identities.name(job.asked_by),
            "ended": words.ended(job.ended) if job.ended else "",
            "progress_url": reverse("admin:threads_retentionjob_progress", args=(job.wire_id,)),
        }
        return TemplateResponse(request, "console/job.html", context)

    @column("What")
    def kind_label(self, job: RetentionJob) -> str:
        return str(job.get_kind_display())

    @column("Status")
    def status_label(self, job: RetentionJob) -> str:
        return display.badge(job.status, str(job.get_status_display()))

    @column("Threads")
    def progress(self, job: RetentionJob) -> str:
        return f"{job.done:,} of {job.planned:,}"

    @column("Asked by")
    def by(self, job: RetentionJob) -> str:
        return identities.told(job, "asked_by")


def summary(job: RetentionJob) -> dict[str, Any]:
    """The reports of a job's parts, added up."""
    actions: dict[str, int] = {}
    skipped: dict[str, int] = {}
    faults: list[str] = []
    bundles: list[str] = []
    counts: dict[str, int] = {}
    unreadable: list[str] = []
    for report in job.reports:
        for name, count in (report.get("actions") or {}).items():
            actions[name] = actions.get(name, 0) + count
        for name, count in (report.get("skipped") or {}).items():
            skipped[words.SKIPPED.get(name, name)] = count
        faults += [str(fault) for fault in [*(report.get("faults") or []), *(report.get("failed") or [])]]
        bundles += report.get("bundles") or [] if isinstance(report.get("bundles"), list) else []
        counts = report.get("counts") or counts
        unreadable = report.get("unreadable") or unreadable
    return {
        "actions": words.actions(actions) if job.kind == RetentionJob.Kind.APPLY else "",
        "skipped": skipped,
        "unreadable": unreadable,
        "faults": faults[:100],
        "more_faults": max(0, len(faults) - 100),
        "bundles": bundles[:20],
        "counts": {told: counts[name] for name, told in COUNTS.items() if name in counts},
    }
