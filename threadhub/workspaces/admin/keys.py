"""API keys in the staff console."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
)

from threadhub.agents import leaving
from threadhub.agents.models import Agent
from threadhub.console import display, once, rights, zone
from threadhub.console.base import ConsoleAdmin, column, created, shown_id
from threadhub.console.deeds import Deed
from threadhub.console.filters import OptionFilter, WorkspaceFilter
from threadhub.console.secret_pages import ShownOnce
from threadhub.lib import ids
from threadhub.workspaces import keys, managed_keys
from threadhub.workspaces.admin.people import ByUsername
from threadhub.workspaces.models import ApiKey, Membership, User
from threadhub.workspaces.models.end_user import REFERENCE_CHARACTERS
from threadhub.workspaces.permissions import Permission, Scope

OVERLAP = timedelta(hours=1)


def limit_field() -> forms.IntegerField:
    """A key's own requests a minute. That it is not above RATE_LIMIT_KEY, the domain says."""
    return forms.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        label="Requests a minute",
        help_text="Empty: as the installation has it.",
        widget=UnfoldAdminIntegerFieldWidget,
    )


class LimitForm(forms.Form):
    rate_limit = limit_field()


class KeyForm(ByUsername):
    """A workspace's key, or one that is bound to an agent, or to a person of the product."""

    absent = "There is no active member of that name in this workspace."
    username = forms.CharField(
        label="Username", help_text="The member whom it acts as.", widget=UnfoldAdminTextInputWidget
    )
    agent = forms.CharField(
        required=False,
        label="Agent",
        help_text="The id of the only agent it reaches.",
        widget=UnfoldAdminTextInputWidget,
    )
    end_user = forms.CharField(
        required=False,
        max_length=REFERENCE_CHARACTERS,
        label="End user",
        help_text="The only person it acts for: your own reference of them, or a user’s id.",
        widget=UnfoldAdminTextInputWidget,
    )
    rate_limit = limit_field()
    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, scope.value) for scope in Scope],
        initial=[Scope.READ.value, Scope.WRITE.value, Scope.INVOKE.value],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = ApiKey
        fields = ("workspace", "name", "scopes", "expires_at")

    def candidates(self) -> QuerySet[User]:
        """Members of the chosen workspace only: the names of others are not told."""
        workspace = self.cleaned_data.get("workspace")
        return User.objects.filter(memberships__workspace=workspace) if workspace else User.objects.none()

    def clean_agent(self) -> UUID | None:
        workspace, text = self.cleaned_data.get("workspace"), self.cleaned_data["agent"].strip()
        if not text:
            return None
        try:
            found = Agent.objects.filter(pk=ids.decode(Agent.PREFIX, text), workspace=workspace)
        except ids.InvalidId:
            found = Agent.objects.none()
        if not found.exists():
            raise forms.ValidationError("There is no agent with that id in this workspace.")
        return found.get().pk

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at is not None and expires_at <= timezone.now():
            raise forms.ValidationError("This is in the past.")
        return expires_at


class KeyStateFilter(OptionFilter):
    title = "State"
    names = ("state",)

    def options(self) -> list[tuple[str, str]]:
        return [("working", "Working"), ("expired", "Expired"), ("revoked", "Revoked")]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        expired = models.Q(expires_at__lte=timezone.now())
        match value:
            case "working":
                return queryset.filter(revoked_at=None).exclude(expired)
            case "expired":
                return queryset.filter(expired, revoked_at=None)
            case "revoked":
                return queryset.filter(revoked_at__isnull=False)
        return queryset.none()


def _may_be_changed(key: Any) -> bool:
    return key.kind != ApiKey.Kind.PERSONAL and keys.works(key, timezone.now())


@admin.register(ApiKey)
class ApiKeyAdmin(ShownOnce, ConsoleAdmin):
    """Made here are workspace keys only: a personal key acts as its user, so only they can make one."""

    reading = Permission.KEY_READ
    writing = Permission.KEY_WRITE
    may_be_added = True
    form = KeyForm
    list_display = ("name", "begins", "state_label", "kind", "holder", "workspace", "used", "expires")
    list_filter = (WorkspaceFilter, KeyStateFilter)
    list_select_related = ("user", "workspace")
    searched = ("name", "user__username")
    search_help_text = "Name, username or id"
    fields = (
        ("name", "begins"), ("workspace", "holder"), ("kind", "state_label"), "scopes_list", "bound_to",
        ("made", "expires"), ("used", "usage_count"), ("limit", "before"), "shown_id",
    )  # fmt: skip
    add_fieldsets = (
        (
            None,
            {"fields": ("workspace", "name", "username", "scopes", "agent", "end_user", "expires_at", "rate_limit")},
        ),
    )
    readonly_fields = (
        "name", "begins", "workspace", "holder", "kind", "state_label", "scopes_list", "bound_to", "made", "expires",
        "used", "usage_count", "shown_id", "before", "limit",
    )  # fmt: skip
    shown_id = staticmethod(shown_id)
    made = staticmethod(created)
    deeds = (
        Deed(
            name="revoke",
            title="Revoke key",
            icon="key_off",
            permission=Permission.KEY_WRITE,
            question=lambda key: f"Revoke the key “{key.name}” ({key.prefix}…)?",
            consequence="Whatever uses it is refused from the next request on. A revoked key never works again.",
            done=lambda key: f"The key “{key.name}” is revoked.",
            do=lambda actor, thing, now: leaving.revoke_key(actor=actor, key=thing, now=now),
            applies=lambda key: key.revoked_at is None,
        ),
        Deed(
            name="rotate",
            title="New secret",
            icon="autorenew",
            permission=Permission.KEY_WRITE,
            question=lambda key: f"Give the key “{key.name}” ({key.prefix}…) a new secret?",
            consequence="The secret of now works for one more hour; an older one stops at once.",
            done=lambda key: f"The key “{key.name}” has a new secret.",
            do=lambda actor, thing, now: managed_keys.rotate(actor=actor, key=thing, overlap=OVERLAP, now=now)[1],
            applies=_may_be_changed,
        ),
        Deed(
            name="limit",
            title="Limit",
            icon="speed",
            permission=Permission.KEY_WRITE,
            question=lambda key: f"How many requests a minute may “{key.name}” ({key.prefix}…) make?",
            consequence="It counts from the next request on.",
            done=lambda key: f"The limit of “{key.name}” is changed.",
            do=lambda actor, thing, now, rate_limit: managed_keys.change(
                actor=actor, key=thing, now=now, rate_limit=rate_limit
            ),
            applies=_may_be_changed,
            danger=False,
            form=LimitForm,
            instead="Leave it",
        ),
    )
    page_title = "Your new secret"
    shown_already = "The secret was shown once and is not kept. Rotate the key, or make a new one, if it is lost."

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return self.readonly_fields if obj else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A superuser need not be a member of anything; others are known to be."""
        own = request.user.get_username() if Membership.objects.filter(user_id=str(request.user.pk)).exists() else ""
        return {"username": own, **super().get_changeform_initial_data(request)}

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if "expires_at" in form.base_fields:
            when = f"By the clocks of {zone.of(request)}. Empty: until it is revoked."
            form.base_fields["expires_at"].help_text = when
        return form

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        key, secret = managed_keys.create(
            actor=rights.of(request).actor(obj.workspace_id),
            user_id=obj.user_id,
            name=obj.name,
            scopes=[Scope(scope) for scope in form.cleaned_data["scopes"]],
            expires_at=obj.expires_at,
            agent_id=form.cleaned_data["agent"],
            end_user=form.cleaned_data["end_user"] or None,
            rate_limit=form.cleaned_data["rate_limit"],
            now=timezone.now(),
        )
        obj.pk = key.pk
        once.put(request, key.wire_id, secret)

    @column("Requests a minute")
    def limit(self, key: ApiKey) -> str:
        return "As the installation has it" if key.rate_limit is None else f"{key.rate_limit:,}"

    @column("Begins")
    def begins(self, key: ApiKey) -> str:
        return f"{key.prefix}…"

    @column("Acts as")
    def holder(self, key: ApiKey) -> str:
        return key.user.get_username()

    @column("Scopes")
    def scopes_list(self, key: ApiKey) -> str:
        return ", ".join(key.scopes) or "–"

    @column("Bound to")
    def bound_to(self, key: ApiKey) -> str:
        agent = ids.encode(Agent.PREFIX, key.agent_id) if key.agent_id else None
        person = key.user.wire_id if key.kind == ApiKey.Kind.END_USER else None
        return ", ".join(name for name in (agent, person) if name) or "–"

    @column("Secret before works until")
    def before(self, key: ApiKey) -> str:
        return display.moment(key.previous_until)

    @column("State")
    def state_label(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return display.badge("revoked", "Revoked")
        expired = key.expires_at is not None and key.expires_at <= timezone.now()
        return display.badge("past", "Expired") if expired else display.badge("working", "Working")

    @column("Last used")
    def used(self, key: ApiKey) -> str:
        return display.moment(key.last_used_at)

    @column("Expires")
    def expires(self, key: ApiKey) -> str:
        return display.moment(key.expires_at)
