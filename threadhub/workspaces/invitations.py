"""Invitations: how people come into a workspace without anybody being told who has an account here.

Whoever invites names a username or an e-mail address and is given a token, to be passed on by any way they trust. The
answer is the same whether there is such an account or not. The token opens the place to that person alone, once.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from threadhub import audit
from threadhub.isolation.scope import Door, by_door
from threadhub.lib import secrets
from threadhub.lib.errors import Conflict, Forbidden, NotFound
from threadhub.workspaces import memberships
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import Invitation, Membership, User
from threadhub.workspaces.permissions import Permission, Role

PREFIX = "thi_"
VALID_FOR = timedelta(days=7)


class InvitationNotFound(NotFound):
    """There is no such invitation, it has expired, or it is for somebody else."""

    code = "invitation_not_found"


class AlreadyMember(Conflict):
    """You are a member of this workspace already."""

    code = "already_member"


class OnlyForPeople(Forbidden):
    """An invitation is accepted by the person it is for, signed in as themselves."""

    code = "only_for_people"


def visible(*, actor: Actor, now: datetime) -> "QuerySet[Invitation]":
    """The open invitations to the actor's workspace, newest first. Raises PermissionMissing."""
    actor.require(Permission.MEMBER_READ)
    return Invitation.objects.filter(workspace_id=actor.workspace_id, expires_at__gt=now).order_by("-created_at", "-id")


@transaction.atomic
def create(*, actor: Actor, invitee: str, role: Role, now: datetime) -> tuple[Invitation, str]:
    """A new invitation and its token, which is not kept. It replaces an open one of the same invitee.

    Raises PermissionMissing.
    """
    memberships.require_to_give(actor=actor, role=role)
    for replaced in Invitation.objects.filter(workspace_id=actor.workspace_id, invitee=invitee):
        memberships.require_to_give(actor=actor, role=Role(replaced.role))
        audit.record(actor=actor, action="invitation.withdraw", ids=[replaced.wire_id])
        replaced.delete()
    token = secrets.new_token(PREFIX)
    invitation = Invitation.objects.create(
        workspace_id=actor.workspace_id,
        invitee=invitee,
        role=role.value,
        invited_by_id=actor.user_id,
        digest=secrets.digest(token),
        created_at=now,
        expires_at=now + VALID_FOR,
    )
    audit.record(actor=actor, action="invitation.create", ids=[invitation.wire_id], details={"role": role.value})
    return invitation, token


@transaction.atomic
def withdraw(*, actor: Actor, invitation_id: UUID, now: datetime) -> None:
    """The token opens nothing any more. Raises PermissionMissing, InvitationNotFound."""
    actor.require(Permission.MEMBER_WRITE)
    invitation = visible(actor=actor, now=now).filter(pk=invitation_id).first()
    if invitation is None:
        raise InvitationNotFound
    memberships.require_to_give(actor=actor, role=Role(invitation.role))
    audit.record(actor=actor, action="invitation.withdraw", ids=[invitation.wire_id])
    invitation.delete()


def accept_as(*, actor: Actor, token: str, now: datetime) -> Membership:
    """As `accept`, for a person who is signed in already. Raises OnlyForPeople too."""
    if not actor.is_person:
        raise OnlyForPeople
    return accept(user=User.objects.get(pk=actor.user_id), token=token, now=now)


@by_door(Door.SIGN_IN)
@transaction.atomic
def accept(*, user: User, token: str, now: datetime) -> Membership:
    """The user is a member from now on. The caller has made sure that they are who they are.

    Raises InvitationNotFound, AlreadyMember.
    """
    invitation = lock(user=user, token=token, now=now)
    if memberships.role_of(user_id=user.id, workspace_id=invitation.workspace_id) is not None:
        raise AlreadyMember
    who = audit.By(f"user:{user.id}", invitation.workspace_id)
    details = {"role": invitation.role}
    audit.record(actor=who, action="invitation.accept", ids=[invitation.wire_id, user.wire_id], details=details)
    invitation.delete()
    return memberships.join(workspace=invitation.workspace, user=user, role=Role(invitation.role), by=who)


def lock(*, user: User, token: str, now: datetime) -> Invitation:
    """The open invitation of this token, if it is for the user, who need not be stored yet.

    Raises InvitationNotFound.
    """
    if not secrets.looks_whole(PREFIX, token):
        raise InvitationNotFound
    invitation = (
        Invitation.objects.select_for_update(of=("self",))
        .select_related("workspace")
        .filter(digest=secrets.digest(token), expires_at__gt=now)
        .first()
    )
    if invitation is None or not _is_for(invitation, user):
        raise InvitationNotFound
    return invitation


def _is_for(invitation: Invitation, user: User) -> bool:
    """An address counts in any letter case, a username only as it is."""
    return invitation.invitee == user.username or (
        "@" in invitation.invitee and invitation.invitee.lower() == user.email.lower()
    )
