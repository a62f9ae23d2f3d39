"""Each workspace's retention: its settings, its last and next sweep, and sweeping now."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from chat_sessions import cleanup
from threadhub.console import keyset, rights
from threadhub.console.base import ConsoleAdmin
from threadhub.console.deeds import TypedField
from threadhub.console.filters import decoded
from threadhub.console.retention import counts, figures, words
from threadhub.lib.errors import DomainError
from threadhub.workspaces.models import Workspace
from threadhub.workspaces.permissions import Permission
from threads.lifecycle import candidates, counting, jobs, preferences, rules
from threads.lifecycle.plan import Plan
from threads.models import RetentionJob, RetentionPolicy, RetentionSettings, Sweep

LISTED = 50
COUNTED = 10_000
CONFIRM_SECONDS = 3600  # so long a plan that was looked at may be confirmed
SALT = "console.retention.plan"
FIELDS = ("schedule", "time_zone", "trash_days", "grace_hours", "brake_percent", "daily_cap")
SCHEDULES = [("daily", "Every night"), ("weekly", "Every week, in the night to Monday"), ("by_hand", "By hand only")]


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg]
    schedule = forms.ChoiceField(
        label="Sweeps",
        choices=SCHEDULES,
        widget=UnfoldAdminSelectWidget,
        help_text="When the worker applies policies and empties the trash. By hand: never, until somebody does it here "
        "or with a command; what is in the trash beyond its time, too, stays until somebody purges it.",
    )

    class Meta:
        model = RetentionSettings
        fields = FIELDS
        widgets = {"time_zone": UnfoldAdminTextInputWidget}
        labels = {
            "trash_days": "Days in the trash",
            "grace_hours": "Grace of new policies, in hours",
            "brake_percent": "Brake, in percent",
            "daily_cap": "Daily cap, in threads",
        }
        help_texts = {
            "time_zone": "IANA name, as Europe/Rome. Sweeps are in its night, from 3 o'clock on.",
            "trash_days": "So long a deleted thread can be brought back. 0: no trash, deleting is for ever.",
            "grace_hours": "A policy removes nothing for so long after it was enabled.",
            "brake_percent": "A sweep that nobody foresaw and that would take more of the workspace stops itself.",
            "daily_cap": "The most threads that policies take in a day, or in a weekly sweep. Empty: all that are due.",
        }

    def clean_time_zone(self) -> str:
        zone: str = self.cleaned_data["time_zone"]
        try:
            preferences.check_zone(zone)
        except DomainError as error:
            raise forms.ValidationError("This is not the IANA name of a time zone.") from error
        return zone


@dataclass(slots=True)
class Row:
    """A workspace in the list."""

    workspace: Workspace
    settings: RetentionSettings
    policies: int
    next_run: str
    last: Sweep | None
    job: RetentionJob | None
    may_write: bool

    @property
    def last_taken(self) -> str:
        report = self.last.report if self.last else {}
        return words.actions(report.get("actions") or {})


@admin.register(RetentionSettings)
class RetentionSettingsAdmin(ConsoleAdmin):
    reading = Permission.RETENTION_READ
    writing = Permission.RETENTION_WRITE
    may_be_changed = True
    form = SettingsForm
    noun = "retention_settings"
    fieldsets = (
        (None, {"fields": ("schedule", "time_zone", ("trash_days", "grace_hours"), ("brake_percent", "daily_cap"))}),
    )

    def key_of(self, object_id: str) -> str:
        pk = decoded(Workspace.PREFIX, object_id)
        return str(pk) if pk else object_id

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The settings of a workspace; the defaults where it never chose."""
        try:
            pk = UUID(object_id)
        except ValueError:
            return None
        workspace = Workspace.objects.filter(pk=pk).first()
        if workspace is None or not rights.of(request).may(self.reading, pk):
            return None
        found = rules.settings_of(pk)
        found.workspace = workspace
        return found

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.apply_view)
        name = "threads_retentionsettings_apply"
        return [path("<str:object_id>/apply/", view, name=name), *super().get_urls()]

    def save_model(self, request: HttpRequest, obj: RetentionSettings, form: Any, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in FIELDS}
        preferences.change(actor=rights.of(request).actor(obj.workspace_id), now=timezone.now(), **values)

    def response_change(self, request: HttpRequest, obj: RetentionSettings) -> HttpResponse:
        self.message_user(request, f"The retention settings of “{obj.workspace.name}” are saved.")
        return redirect("admin:threads_retentionsettings_changelist")

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        thing = kwargs.get("obj")
        if thing is not None:
            context["title"] = f"Retention of {thing.workspace.name}"
            context["subtitle"] = None
        return super().render_change_form(request, context, *args, **kwargs)

    # --- the list: of workspaces, also of those that never chose settings

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if not self.has_view_permission(request):
            raise PermissionDenied
        allowed = rights.of(request).workspaces(self.reading)
        workspaces = Workspace.objects.all() if allowed is None else Workspace.objects.filter(pk__in=allowed)
        page = keyset.page(queryset=workspaces, cursor=request.GET.get("p"), size=LISTED, by_time=False)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Retention",
            "rows": _rows(request, page.rows),
            "page": page,
            "sessions": _sessions() if rights.of(request).everything else None,
            "is_fullwidth": "1",
        }
        return TemplateResponse(request, "console/retention.html", context)

    # --- sweeping now

    def apply_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The plan and its confirmation; confirmed, the worker does it."""
        found = self.thing(request, object_id)
        if found is None:
            raise Http404
        if not rights.of(request).may(self.writing, found.workspace_id):
            raise PermissionDenied
        actor = rights.of(request).actor(found.workspace_id)
        if request.method == "POST" and "again" in request.POST:
            counting.ask(actor=actor, now=timezone.now())
            return redirect(request.path)
        if request.method == "POST" and "stop" in request.POST:
            counting.stop(actor=actor, now=timezone.now())
            return redirect(request.path)
        if request.method == "POST":
            return self._confirmed(request, found.workspace)
        if counting.is_small(workspace_id=found.workspace_id):
            plan = jobs.plan(actor=actor, cutoff=candidates.database_now())
            return self._plan_page(request, found.workspace, plan, None)
        job = counting.latest(actor=actor, now=timezone.now())
        if job.ended == "done":
            return self._plan_page(request, found.workspace, counting.plan_of(job=job), None, job)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Apply the policies of {found.workspace.name}",
            **counts.context(job, progress_url=counts.progress_of(job)),
            "back": reverse("admin:threads_retentionsettings_changelist"),
            "may_stop": True,
        }
        return TemplateResponse(request, "console/counting.html", context)

    def _plan_page(
        self, request: HttpRequest, workspace: Workspace, plan: Plan, data: Any, counted: RetentionJob | None = None
    ) -> TemplateResponse:
        live = RetentionJob.changing().filter(workspace_id=workspace.pk).first()
        sealed = {"w": str(workspace.pk), "c": plan.cutoff.isoformat(), "h": plan.hash}
        if counted is not None:
            sealed["j"] = str(counted.pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Apply the policies of {workspace.name}",
            "workspace": workspace,
            "plan": plan,
            "figures": figures.of_plan(plan),
            "braked": jobs.is_braked(plan=plan),
            "share": round(100 * plan.total / plan.threads) if plan.threads else 0,
            "settings": rules.settings_of(workspace.pk),
            "form": _confirmation(plan, data),
            "sealed": signing.dumps(sealed, salt=SALT),
            "live": live,
            "counted": counted,
            "back": reverse("admin:threads_retentionsettings_changelist"),
        }
        return TemplateResponse(request, "console/apply.html", context)

    def _confirmed(self, request: HttpRequest, workspace: Workspace) -> HttpResponseBase:
        again = reverse("admin:threads_retentionsettings_apply", args=(workspace.wire_id,))
        try:
            seen = signing.loads(request.POST.get("plan", ""), salt=SALT, max_age=CONFIRM_SECONDS)
            cutoff, job_id = datetime.fromisoformat(seen["c"]), UUID(seen["j"]) if "j" in seen else None
        except (signing.BadSignature, KeyError, TypeError, ValueError):
            messages.error(request, "This plan is too old. Look at it again.")
            return redirect(again)
        if seen["w"] != str(workspace.pk):
            raise PermissionDenied
        actor = rights.of(request).actor(workspace.pk)
        try:
            job = counting.counted(actor=actor, job_id=job_id, now=timezone.now()) if job_id else None
            plan = counting.plan_of(job=job) if job else jobs.plan(actor=actor, cutoff=cutoff)
            if plan.hash != seen["h"]:
                raise jobs.PlanChanged
        except DomainError as error:
            messages.error(request, error.message)
            return redirect(again)
        if not _confirmation(plan, request.POST).is_valid():
            return self._plan_page(request, workspace, plan, request.POST, job)
        try:
            job = jobs.apply_policies(
                actor=actor,
                cutoff=cutoff,
                plan_hash=seen["h"],
                now=timezone.now(),
                over_brake=jobs.is_braked(plan=plan),
                counted=plan if job_id else None,
            )
        except DomainError as error:
            messages.error(request, error.message)
            return redirect(again)
        return redirect("admin:threads_retentionjob_change", job.wire_id)


def _confirmation(plan: Plan, data: Any) -> forms.Form:
    """Nothing to fill in, but for what cannot be taken back or is more than the brake allows."""
    form = forms.Form(data)
    if plan.actions["purge"] or jobs.is_braked(plan=plan):
        form.fields["typed"] = TypedField(str(plan.total))
    return form


def _rows(request: HttpRequest, workspaces: list[Workspace]) -> list[Row]:
    """Five queries, for however many."""
    held, now = rights.of(request), timezone.now()
    keys = [each.pk for each in workspaces]
    chosen = {each.workspace_id: each for each in RetentionSettings.objects.filter(workspace_id__in=keys)}
    enabled = RetentionPolicy.objects.filter(workspace_id__in=keys, enabled=True).order_by()
    counts = Counter(enabled.values_list("workspace_id", flat=True)[:COUNTED])
    sweeps = Sweep.objects.filter(workspace_id__in=keys, kind=Sweep.Kind.RETENTION)
    last = {each.workspace_id: each for each in sweeps.order_by("workspace_id", "-number").distinct("workspace_id")}
    waiting = RetentionJob.changing().filter(workspace_id__in=keys)
    live = {each.workspace_id: each for each in waiting}
    rows = []
    for workspace in workspaces:
        own = chosen.get(workspace.pk) or RetentionSettings(workspace_id=workspace.pk)
        rows.append(
            Row(
                workspace=workspace,
                settings=own,
                policies=counts[workspace.pk],
                next_run=words.next_sweep(schedule=own.schedule, zone=own.time_zone, now=now),
                last=last.get(workspace.pk),
                job=live.get(workspace.pk),
                may_write=held.may(Permission.RETENTION_WRITE, workspace.pk),
            )
        )
    return rows


def _sessions() -> dict[str, Any]:
    """What the hourly clean-up of chat sessions would find now, counted up to a limit."""
    limit = 10_000
    found = cleanup.sweep(now=timezone.now(), bounds=cleanup.Bounds(limit=limit), dry_run=True)
    kept = timedelta(seconds=settings.CHAT_SESSION_KEPT_SECONDS)
    return {"ended": found.ended, "removed": found.removed, "kept_days": kept.days, "limit": limit}
