"""Who may come in, in the staff console: workspaces, memberships, API keys and users."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import models, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
)

from threadhub.agents import leaving
from threadhub.agents.models import Agent
from threadhub.console import display, once, rights
from threadhub.console.base import ConsoleAdmin, column, created, shown_id
from threadhub.console.deeds import Deed
from threadhub.console.filters import OptionFilter, WorkspaceFilter
from threadhub.console.secret_pages import ShownOnce
from threadhub.lib import ids
from threadhub.workspaces import invitations, keys, managed_keys, memberships, workspaces
from threadhub.workspaces.models import ApiKey, Invitation, Membership, User, Workspace
from threadhub.workspaces.models.end_user import REFERENCE_CHARACTERS
from threadhub.workspaces.permissions import Permission, Role, Scope

OVERLAP = timedelta(hours=1)

admin.site.unregister(Group)  # roles in workspaces say who may do what; groups would be a second answer


@admin.register(Workspace)
class WorkspaceAdmin(ConsoleAdmin):
    reading = Permission.WORKSPACE_READ
    writing = Permission.SETTINGS_WRITE
    may_be_changed = True
    list_display = ("name", "shown_id", "made")
    searched = ("name",)
    search_help_text = "Name or id"
    fields = ("name", "external_ref_policy", "transcript_reason", ("shown_id", "made"))
    readonly_fields = ("shown_id", "made")
    shown_id = staticmethod(shown_id)
    made = staticmethod(created)

    def workspace_of(self, thing: Any) -> UUID | None:
        return thing.pk  # type: ignore[no-any-return]

    def within(self, queryset: QuerySet[Any], workspaces: list[UUID]) -> QuerySet[Any]:
        return queryset.filter(pk__in=workspaces)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return rights.of(request).everything

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        """An admin has the settings, but not the name."""
        named = obj is None or rights.of(request).may(Permission.WORKSPACE_WRITE, obj.pk)
        return super().get_readonly_fields(request, obj) if named else (*self.readonly_fields, "name")

    def save_model(self, request: HttpRequest, obj: Workspace, form: Any, change: bool) -> None:
        if not change:
            super().save_model(request, obj, form, change)
        elif form.changed_data:
            fields = {name: form.cleaned_data[name] for name in form.changed_data}
            workspaces.change(actor=rights.of(request).actor(obj.pk), workspace=obj, **fields)


class ByUsername(forms.ModelForm):  # type: ignore[type-arg]
    """A form that names a user by username: a list to choose from would name every user of every workspace."""

    username = forms.CharField(label="Username", widget=UnfoldAdminTextInputWidget)

    def clean_username(self) -> str:
        username: str = self.cleaned_data["username"]
        user = self.candidates().filter(username=username, is_active=True).first()
        if user is None:
            raise forms.ValidationError(self.absent)
        self.instance.user = user
        return username

    absent = "There is no active user of that name."

    def candidates(self) -> QuerySet[User]:
        return User.objects.all()

    def _get_validation_exclusions(self) -> set[str]:
        """The user counts when uniqueness is checked, though the form has no field of that name."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded - {"user"} if self.instance.user_id else excluded


class MembershipForm(ByUsername):
    class Meta:
        model = Membership
        fields = ("workspace", "role")


class RoleFilter(OptionFilter):
    title = "Role"
    names = ("role",)

    def options(self) -> list[tuple[str, str]]:
        return [(role.value, role.value) for role in Role]


@admin.register(Membership)
class MembershipAdmin(ConsoleAdmin):
    noun = "member"
    reading = Permission.MEMBER_READ
    writing = Permission.MEMBER_WRITE
    may_be_added = True
    may_be_changed = True
    form = MembershipForm
    list_display = ("member", "workspace", "role", "since")
    list_filter = (WorkspaceFilter, RoleFilter)
    list_select_related = ("user", "workspace")
    searched = ("user__username", "user__email")
    search_help_text = "Username or e-mail"
    fields = ("member", "workspace", "role", "since")
    add_fieldsets = ((None, {"fields": ("workspace", "username", "role")}),)
    readonly_fields = ("member", "since")
    since = staticmethod(created)
    deeds = (
        Deed(
            name="remove",
            title="Remove member",
            icon="person_remove",
            permission=Permission.MEMBER_WRITE,
            question=lambda membership: f"Take {membership.user} out of {membership.workspace}?",
            consequence="They cannot sign in to it any more, and their personal keys stop working there. Threads stay.",
            done=lambda membership: f"{membership.user} is no longer a member of {membership.workspace}.",
            do=lambda actor, thing, now: leaving.remove_member(actor=actor, user_id=thing.user_id, now=now),
            removes=True,
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Others invite: the form would tell them who has an account."""
        return rights.of(request).everything

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        actor, role = rights.of(request).actor(obj.workspace_id), Role(obj.role)
        if change:
            memberships.change_role(actor=actor, user_id=obj.user_id, role=role, now=timezone.now())
        else:
            obj.pk = memberships.add(actor=actor, user=obj.user, role=role).pk

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return (*self.readonly_fields, "workspace") if obj else self.readonly_fields

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if change:
            kwargs["form"] = forms.ModelForm
        return super().get_form(request, obj, change, **kwargs)

    @column("User")
    def member(self, membership: Membership) -> str:
        return membership.user.get_username()


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Invitation
        fields = ("workspace", "invitee", "role")
        help_texts = {"invitee": "A username or an e-mail address. Whether there is such an account is not told."}


@admin.register(Invitation)
class InvitationAdmin(ShownOnce, ConsoleAdmin):
    """How people come in whose accounts are not known here."""

    reading = Permission.MEMBER_READ
    writing = Permission.MEMBER_WRITE
    may_be_added = True
    form = InvitationForm
    list_display = ("invitee", "role", "workspace", "made", "expires")
    list_filter = (WorkspaceFilter, RoleFilter)
    list_select_related = ("workspace",)
    searched = ("invitee",)
    search_help_text = "Invitee or id"
    fields = ("invitee", "workspace", "role", ("made", "expires"), "shown_id")
    add_fieldsets = ((None, {"fields": ("workspace", "invitee", "role")}),)
    readonly_fields = ("made", "expires", "shown_id")
    shown_id = staticmethod(shown_id)
    made = staticmethod(created)
    page_title = "Your invitation"
    shown_already = "The token was shown once and is not kept. Invite again if it is lost."
    deeds = (
        Deed(
            name="withdraw",
            title="Withdraw invitation",
            icon="cancel",
            permission=Permission.MEMBER_WRITE,
            question=lambda invitation: f"Withdraw the invitation of {invitation.invitee}?",
            consequence="Its token opens nothing any more.",
            done=lambda invitation: f"The invitation of {invitation.invitee} is withdrawn.",
            do=lambda actor, thing, now: invitations.withdraw(actor=actor, invitation_id=thing.pk, now=now),
            removes=True,
        ),
    )

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        actor = rights.of(request).actor(obj.workspace_id)
        invitation, token = invitations.create(
            actor=actor, invitee=obj.invitee, role=Role(obj.role), now=timezone.now()
        )
        obj.pk = invitation.pk
        once.put(request, invitation.wire_id, token)

    @column("Expires")
    def expires(self, invitation: Invitation) -> str:
        return display.moment(invitation.expires_at)


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

    absent = "There is no active member of that name."
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
        help_texts = {"expires_at": "In UTC. Empty: until it is revoked."}

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
        return {"username": request.user.get_username(), **super().get_changeform_initial_data(request)}

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


class KindFilter(OptionFilter):
    title = "Kind"
    names = ("kind",)

    def options(self) -> list[tuple[str, str]]:
        return [("staff", "Staff"), ("superuser", "Superusers"), ("inactive", "Deactivated")]

    def chosen(self, value: str, queryset: QuerySet[Any]) -> QuerySet[Any]:
        ways = {"staff": {"is_staff": True}, "superuser": {"is_superuser": True}, "inactive": {"is_active": False}}
        return queryset.filter(**ways[value]) if value in ways else queryset.none()


@admin.register(User)
class UserAdmin(ConsoleAdmin, DjangoUserAdmin):  # type: ignore[misc, type-arg]
    """People. For superusers: a user may belong to several workspaces."""

    may_be_added = True
    may_be_changed = True
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "full_name", "staff", "works", "last_seen")
    list_filter = (KindFilter,)
    filter_horizontal = ()
    searched = ("username", "email", "first_name", "last_name")
    search_help_text = "Username, e-mail, name or id"
    readonly_fields = ("shown_id", "last_seen", "since")
    shown_id = staticmethod(shown_id)
    fieldsets = (
        (None, {"fields": ("username", "password", ("first_name", "last_name"), "email")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("More", {"fields": ("metadata", ("shown_id", "since", "last_seen"))}),
    )
    add_fieldsets = ((None, {"fields": ("username", "password1", "password2")}),)

    def within(self, queryset: QuerySet[Any], workspaces: list[UUID]) -> QuerySet[Any]:
        return queryset.none()

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        with transaction.atomic():
            answer: HttpResponse = super().user_change_password(request, self.key_of(id), form_url)
            if request.method == "POST" and answer.status_code == 302:
                user = User.objects.get(pk=self.key_of(id))
                self.record(request, "update", user, {"fields": ["password"]})
        return answer

    @column("Name")
    def full_name(self, user: User) -> str:
        return display.shortened(user.get_full_name(), 60) or "–"

    @column("Staff", boolean=True)
    def staff(self, user: User) -> bool:
        return user.is_staff

    @column("Active", boolean=True)
    def works(self, user: User) -> bool:
        return user.is_active

    @column("Last sign-in")
    def last_seen(self, user: User) -> str:
        return display.moment(user.last_login)

    @column("Joined")
    def since(self, user: User) -> str:
        return display.moment(user.date_joined)
