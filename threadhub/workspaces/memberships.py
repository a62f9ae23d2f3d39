"""Members of workspaces: who belongs where, and what that lets them do."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from threadhub import audit
from threadhub.lib import ids
from threadhub.lib.errors import Conflict, Forbidden, NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import ApiKey, Invitation, Membership, RefreshToken, User, Workspace
from threadhub.workspaces.permissions import ROLE_PERMISSIONS, Permission, Role


class NoWorkspace(Forbidden):
    """You are not a member of any workspace."""

    code = "no_workspace"


class MemberNotFound(NotFound):
    """Member not found."""

    code = "member_not_found"


class LastOwner(Conflict):
    """A workspace must keep an owner: make somebody else one first."""

    code = "last_owner"


def role_of(*, user_id: UUID, workspace_id: UUID) -> Role | None:
    """What the user is in the workspace; None where they are no member (any more)."""
    role = Membership.objects.filter(user_id=user_id, workspace_id=workspace_id).values_list("role", flat=True).first()
    return Role(role) if role else None


def permissions_as(role: Role | None) -> frozenset[Permission]:
    """What a role lets one do; nothing where there is none."""
    return ROLE_PERMISSIONS[role] if role else frozenset()


def first_workspace(*, user: User, wanted: UUID | None = None) -> Membership | None:
    """The membership to sign in with: the wanted workspace's if the user is a member there, else the oldest."""
    memberships = Membership.objects.filter(user=user).select_related("workspace").order_by("created_at", "id")
    if wanted is not None:
        return memberships.filter(workspace_id=wanted).first()
    return memberships.first()


@transaction.atomic
def join(*, workspace: Workspace, user: User, role: Role, by: audit.Who | None = None) -> Membership:
    """Make a user a member. `by`: who does it; None is the installation itself."""
    membership = Membership.objects.create(workspace=workspace, user=user, role=role.value)
    audit.record(
        actor=by or audit.By("system", workspace.pk),
        action="member.join",
        ids=[user.wire_id, workspace.wire_id],
        details={"role": role.value},
    )
    return membership


@transaction.atomic
def add(*, actor: Actor, user: User, role: Role) -> Membership:
    """Make somebody a member without asking them: for superusers, who know all accounts. Raises PermissionMissing."""
    require_to_give(actor=actor, role=role)
    return join(workspace=Workspace.objects.get(pk=actor.workspace_id), user=user, role=role, by=actor)


def visible(*, actor: Actor) -> "QuerySet[Membership]":
    """The members of the actor's workspace, newest first. Raises PermissionMissing."""
    actor.require(Permission.MEMBER_READ)
    return (
        Membership.objects.select_related("user").filter(workspace_id=actor.workspace_id).order_by("-created_at", "-id")
    )


def require_to_give(*, actor: Actor, role: Role) -> None:
    """Raise PermissionMissing unless the actor may make somebody a `role`, or take that from them: only owners decide
    who is an owner, and nobody gives a role that may do what they may not."""
    actor.require(Permission.MEMBER_WRITE)
    if role == Role.OWNER:
        actor.require(Permission.OWNER_WRITE)
    for permission in sorted(ROLE_PERMISSIONS[role]):
        actor.require(permission)


@transaction.atomic
def change_role(*, actor: Actor, user_id: UUID, role: Role, now: datetime) -> Membership:
    """Give a member another role; it counts from their next request on.

    Raises PermissionMissing, MemberNotFound, LastOwner.
    """
    require_to_give(actor=actor, role=role)
    membership = _lock(actor=actor, user_id=user_id)
    was = Role(membership.role)
    require_to_give(actor=actor, role=was)
    if was == role:
        return membership
    if was == Role.OWNER:
        _require_another_owner(membership)
    membership.role = role.value
    membership.save(update_fields=["role"])
    _void_invitations_by(membership)
    details = {"role": role.value, "was": was.value}
    audit.record(actor=actor, action="member.change", ids=[ids.encode(User.PREFIX, user_id)], details=details)
    return membership


@transaction.atomic
def remove(*, actor: Actor, user_id: UUID, now: datetime) -> list[UUID]:
    """Take a member out of the workspace, or leave it: their sign-ins to it, their keys that act as them there and the
    invitations they made stop working at once. Their threads stay. Returns the ids of those keys.

    Called by `agents.leaving` alone, which also takes them out of the lists of limited agents.
    Raises PermissionMissing, MemberNotFound, LastOwner.
    """
    leaving = actor.is_person and actor.user_id == user_id
    if not leaving:
        actor.require(Permission.MEMBER_WRITE)
    membership = _lock(actor=actor, user_id=user_id)
    role = Role(membership.role)
    if not leaving:
        require_to_give(actor=actor, role=role)
    if role == Role.OWNER:
        _require_another_owner(membership)
    membership.delete()
    of_theirs = {"user_id": user_id, "workspace_id": actor.workspace_id, "revoked_at__isnull": True}
    RefreshToken.objects.filter(**of_theirs).update(revoked_at=now)
    keys = ApiKey.objects.filter(**of_theirs).exclude(kind=ApiKey.Kind.WORKSPACE).order_by()
    revoked = list(keys.values_list("pk", flat=True))
    keys.update(revoked_at=now)
    _void_invitations_by(membership)
    details = {"role": role.value}
    audit.record(actor=actor, action="member.remove", ids=[ids.encode(User.PREFIX, user_id)], details=details)
    return revoked


def _lock(*, actor: Actor, user_id: UUID) -> Membership:
    """A member's row, after the workspace's own: two owners who leave at once wait for each other here. Raises
    MemberNotFound."""
    Workspace.objects.select_for_update(no_key=True).get(pk=actor.workspace_id)
    membership = (
        Membership.objects.select_for_update(of=("self",))
        .select_related("user")
        .filter(workspace_id=actor.workspace_id, user_id=user_id)
        .first()
    )
    if membership is None:
        raise MemberNotFound
    return membership


def _require_another_owner(membership: Membership) -> None:
    owners = Membership.objects.filter(workspace_id=membership.workspace_id, role=Role.OWNER, user__is_active=True)
    if not owners.exclude(user_id=membership.user_id).exists():
        raise LastOwner


def _void_invitations_by(membership: Membership) -> None:
    """What somebody offered in a role that they have no more is not to be had."""
    Invitation.objects.filter(workspace_id=membership.workspace_id, invited_by_id=membership.user_id).delete()
