"""Legal holds in the staff console: placed and released with a reason, and never gone."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Case, F, OuterRef, QuerySet, Subquery, TextField, Value, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from threadhub.agents.models import Agent
from threadhub.console import display, identities, rights
from threadhub.console.base import ConsoleAdmin, column, shown_id
from threadhub.console.deeds import Deed
from threadhub.console.filters import OptionFilter, WorkspaceFilter, by_column, decoded
from threadhub.console.retention import words
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Permission
from threads.lifecycle import holds
from threads.models import Hold, Thread

SCOPES = [
    ("thread", "One thread"), ("agent", "Threads of an agent"), ("user", "Threads of a user"),
    ("external_ref", "Threads of an external reference"), ("workspace", "The whole workspace"),
]  # fmt: skip
PREFIXES = {"thread": Thread.PREFIX, "agent": Agent.PREFIX, "user": User.PREFIX}


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label="Reason", max_length=holds.MAX_REASON, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3})
    )


class HoldForm(forms.ModelForm):  # type: ignore[type-arg]
    """A hold: on what, and why."""

    scope = forms.ChoiceField(label="Keep", choices=SCOPES, widget=UnfoldAdminSelectWidget)
    target = forms.CharField(
        label="Which",
        required=False,
        max_length=1024,
        strip=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="The thread's or agent's id, the user's id or name, or the reference. Empty for a workspace.",
    )

    class Meta:
        model = Hold
        fields = ("workspace", "scope", "reason")
        widgets = {"reason": UnfoldAdminTextareaWidget(attrs={"rows": 3})}
        help_texts = {"reason": "The case, the order, who asked: for whoever finds it later."}

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"].strip()
        if len(reason) > holds.MAX_REASON:
            raise forms.ValidationError(f"At most {holds.MAX_REASON:,} characters.")
        return reason

    def clean_target(self) -> str:
        target: str = self.cleaned_data["target"]
        if "\x00" in target:
            raise forms.ValidationError("This is no id and no reference.")
        return target

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not self.errors:
            self.target_id, self.external_ref = target_of(data["scope"], data["target"])
            try:
                holds.check_target(
                    workspace_id=data["workspace"].pk,
                    scope=data["scope"],
                    target_id=self.target_id,
                    external_ref=self.external_ref,
                )
            except holds.HoldInvalid:
                self.add_error("target", none_such(data["target"], "kept"))
        return data


class InForceFilter(OptionFilter):
    title = "State"
    names = ("state",)

    def options(self) -> list[tuple[str, str]]:
        return [("in_force", "In force"), ("released", "Released")]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = value in ("in_force", "released")
        return queryset.filter(released_at__isnull=value == "in_force") if known else queryset.none()


@admin.register(Hold)
class HoldAdmin(ConsoleAdmin):
    reading = Permission.HOLD_READ
    newest_by_workspace = True
    writing = Permission.HOLD_WRITE
    may_be_added = True
    told_by = ("placed_by",)
    save_title = "Place on hold"
    form = HoldForm
    list_display = ("kept", "state_label", "why", "placed", "by", "workspace")
    list_filter = (WorkspaceFilter, by_column("scope", "Keeps", SCOPES), InForceFilter)
    list_select_related = ("workspace",)
    search_help_text = "Id of a hold, or of what it keeps, or a reference"
    readonly_fields = ("shown_id", "kept", "state_label", "why_all", "placed", "by", "released", "end")
    shown_id = staticmethod(shown_id)
    add_fieldsets = ((None, {"fields": (("workspace",), ("scope", "target"), "reason")}),)
    deeds = (
        Deed(
            name="release",
            title="Release hold",
            icon="lock_open",
            permission=Permission.HOLD_WRITE,
            question=lambda hold: f"Release this hold? {words.held(hold)}",
            consequence="What it kept is from then on as if it had never been held: policies and deletions reach it, "
            "unless another hold keeps it too. The hold stays here as a record.",
            done=lambda hold: "The hold is released.",
            do=lambda actor, thing, now, reason: holds.release(actor=actor, hold=thing, now=now, reason=reason),
            applies=lambda hold: hold.in_force,
            form=ReasonForm,
            instead="Keep the hold",
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        target = OuterRef("target_id")
        titles = (
            Thread.objects.filter(pk=target)
            .order_by()
            .values(name=Coalesce(F("title"), Value("Untitled", TextField())))
        )
        named = Case(
            When(scope="agent", then=Subquery(Agent.objects.filter(pk=target).order_by().values("name")[:1])),
            When(scope="user", then=Subquery(User.objects.filter(pk=target).order_by().values("username")[:1])),
            When(scope="thread", then=Subquery(titles[:1])),
            default=Value(None),
            output_field=TextField(),
        )
        shown: QuerySet[Any] = super().get_queryset(request).annotate(target_name=named)
        return shown

    def find(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        pk = decoded(term.rpartition("_")[0], term) if term.rpartition("_")[0] in PREFIXES.values() else None
        return queryset.filter(target_id=pk) if pk else queryset.filter(external_ref=term)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        fields = ("kept", ("state_label", "shown_id"), "why_all", ("placed", "by"), ("released", "end"))
        return ((None, {"fields": fields}),)

    def save_model(self, request: HttpRequest, obj: Hold, form: Any, change: bool) -> None:
        data = form.cleaned_data
        placed = holds.place(
            actor=rights.of(request).actor(obj.workspace_id),
            scope=data["scope"],
            reason=data["reason"],
            now=timezone.now(),
            target_id=form.target_id,
            external_ref=form.external_ref,
        )
        obj.pk = placed.pk
        obj.refresh_from_db()

    def response_add(self, request: HttpRequest, obj: Hold, post_url_continue: str | None = None) -> HttpResponse:
        self.message_user(request, "The hold is in force: what it covers can no longer be removed by anybody.")
        return redirect(self.address_of(obj))

    @column("Keeps")
    def kept(self, hold: Hold) -> str:
        return words.held(hold)

    @column("State")
    def state_label(self, hold: Hold) -> str:
        return display.badge("held", "In force") if hold.in_force else display.badge("released", "Released")

    @column("Reason")
    def why(self, hold: Hold) -> str:
        return display.shortened(hold.reason, 80)

    @column("Reason")
    def why_all(self, hold: Hold) -> str:
        return hold.reason

    @column("Placed")
    def placed(self, hold: Hold) -> str:
        return display.moment(hold.placed_at)

    @column("By")
    def by(self, hold: Hold) -> str:
        return identities.told(hold, "placed_by")

    @column("Released")
    def released(self, hold: Hold) -> str:
        return display.moment(hold.released_at)

    @column("Why released")
    def end(self, hold: Hold) -> str:
        who = f" ({identities.name(hold.released_by)})" if hold.released_by else ""
        return f"{hold.release_reason or '–'}{who}"


def target_of(scope: str, text: str) -> tuple[UUID | None, str | None]:
    """What was typed, as the domain's `target_id` and `external_ref`."""
    if scope == "external_ref":
        return None, text or None
    text = text.strip()
    if scope == "workspace" and text:
        return None, text  # the domain refuses it: a hold on a workspace has no target
    pk = decoded(PREFIXES.get(scope, ""), text) if text else None
    if pk is None and scope == "user" and text:
        pk = User.objects.filter(username=text).values_list("pk", flat=True).first()
    return pk, None


def none_such(text: str, done: str) -> str:
    """What is wrong with a target that the workspace does not have."""
    if not text.strip():
        return "Say which one."
    return f"The workspace has none such. Look at the id, and at what is to be {done}."
