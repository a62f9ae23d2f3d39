"""Workspaces and people in the staff console: memberships, invitations, users."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import (
    UnfoldAdminTextInputWidget,
)

from threadhub.agents import budgets, leaving
from threadhub.console import agent_budget, display, once, rights
from threadhub.console.base import ConsoleAdmin, column, created, shown_id
from threadhub.console.deeds import Deed
from threadhub.console.filters import OptionFilter, WorkspaceFilter, by_column
from threadhub.console.secret_pages import ShownOnce
from threadhub.workspaces import invitations, memberships, workspaces
from threadhub.workspaces.models import Invitation, Membership, User, Workspace
from threadhub.workspaces.permissions import Permission, Role

ROLES = [(role.value, role.value) for role in Role]
ROLES_HELP = (
    "Support reads conversations, answers and assigns. Compliance holds, keeps, erases and exports. Members use agents,"
    " viewers look at them."
)

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
    deeds = (
        Deed(
            name="budget",
            title="Set budget",
            icon="savings",
            permission=Permission.AGENT_WRITE,
            question=lambda workspace: f"How much may all agents of “{workspace.name}” use together?",
            consequence=lambda workspace: agent_budget.told_of_workspace(workspace.pk),
            done=lambda workspace: f"The budget of “{workspace.name}” is saved.",
            do=lambda actor, thing, now, **chosen: budgets.replace(
                actor=actor, agent=None, limits=agent_budget.limits(chosen)
            ),
            danger=False,
            form=agent_budget.LimitsForm,
            initial=lambda workspace: agent_budget.initial(workspace.pk, None),
            instead="Leave it as it is",
        ),
    )

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
        help_texts = {"role": ROLES_HELP}


@admin.register(Membership)
class MembershipAdmin(ConsoleAdmin):
    noun = "member"
    reading = Permission.MEMBER_READ
    writing = Permission.MEMBER_WRITE
    may_be_added = True
    may_be_changed = True
    form = MembershipForm
    list_display = ("member", "workspace", "role", "since")
    list_filter = (WorkspaceFilter, by_column("role", "Role", ROLES))
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
        help_texts = {
            "invitee": "A username or an e-mail address. Whether there is such an account is not told.",
            "role": ROLES_HELP,
        }


@admin.register(Invitation)
class InvitationAdmin(ShownOnce, ConsoleAdmin):
    """How people come in whose accounts are not known here."""

    reading = Permission.MEMBER_READ
    writing = Permission.MEMBER_WRITE
    may_be_added = True
    form = InvitationForm
    list_display = ("invitee", "role", "workspace", "made", "expires")
    list_filter = (WorkspaceFilter, by_column("role", "Role", ROLES))
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
