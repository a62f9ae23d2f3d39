"""End users: people of a product, for whom its server acts. They have a reference of the product's own, no account."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from threadhub.lib import ids
from threadhub.lib.errors import Forbidden, Invalid
from threadhub.workspaces import memberships
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import EndUser, Membership, User
from threadhub.workspaces.models.end_user import REFERENCE_CHARACTERS
from threadhub.workspaces.permissions import Permission

MADE = "end-user-"  # how the user names of end users begin, which nobody types
NOBODY = UUID(int=0)  # an end user that nothing was done for yet: nothing is theirs


class EndUserUnknown(Invalid):
    """There is no end user or member with this id."""

    code = "end_user_unknown"


class EndUserMalformed(Invalid):
    """An end user is named by their `user_…` id or by 1 to 255 characters of the product's own."""

    code = "end_user_malformed"


class OtherEndUser(Forbidden):
    """This key acts for its own end user only."""

    code = "other_end_user"


def visible(*, actor: Actor) -> "QuerySet[EndUser]":
    """The end users of the actor's workspace, newest first. Raises PermissionMissing."""
    actor.require(Permission.END_USER_READ)
    return EndUser.objects.filter(workspace_id=actor.workspace_id).order_by("-created_at", "-id")


def act_for(*, actor: Actor, name: str, now: datetime, make: bool) -> Actor:
    """The actor on behalf of the end user (or member) that `name` means: a `user_…` id, or the product's reference.

    With `make` a reference that was never seen becomes an end user; without, nothing is theirs yet.
    Raises PermissionMissing, OtherEndUser, EndUserUnknown, EndUserMalformed.
    """
    if actor.kind == "key" and actor.end_user_id is not None:
        if find(workspace_id=actor.workspace_id, name=name) != actor.end_user_id:
            raise OtherEndUser
        return actor
    actor.require(Permission.END_USER_ACT)
    if make:
        user_id = find_or_make(workspace_id=actor.workspace_id, name=name, now=now)
    else:
        user_id = find(workspace_id=actor.workspace_id, name=name) or NOBODY
    role = None
    if actor.may(Permission.AGENT_WRITE):  # else it does not count
        role = memberships.role_of(user_id=user_id, workspace_id=actor.workspace_id)
    return actor.acting_for(user_id=user_id, role=role)


def find(*, workspace_id: UUID, name: str) -> UUID | None:
    """The user_id behind an id or a reference; None for a reference that was never seen.

    Raises EndUserUnknown for an id that is nobody's here, EndUserMalformed.
    """
    try:
        user_id = ids.decode(User.PREFIX, name)
    except ids.InvalidId:
        if not is_reference(name):
            raise EndUserMalformed from None
        return by_reference(workspace_id=workspace_id, reference=name)
    here = {"workspace_id": workspace_id, "user_id": user_id}
    if EndUser.objects.filter(**here).exists() or Membership.objects.filter(**here).exists():
        return user_id
    raise EndUserUnknown


def known_as(users: Iterable[tuple[UUID, User]]) -> dict[tuple[UUID, UUID], str]:
    """What people of workspaces are called, by workspace and user: end users by the product's reference of them, all
    others by their user name. One query, where one is an end user."""
    found = {(workspace_id, user.pk): user.get_username() for workspace_id, user in users}
    made = {user_id for (_, user_id), name in found.items() if name.startswith(MADE)}
    if made:
        rows = EndUser.objects.filter(user_id__in=made).order_by().values_list("workspace_id", "user_id", "reference")
        found |= {(workspace, user): reference for workspace, user, reference in rows if (workspace, user) in found}
    return found


def references(users: Iterable[User]) -> dict[UUID, str]:
    """The product's references of those users that are end users, whose user names nobody gave; by user."""
    made = [user.pk for user in users if user.get_username().startswith(MADE)]
    rows = EndUser.objects.filter(user_id__in=made).order_by() if made else EndUser.objects.none()
    return dict(rows.values_list("user_id", "reference"))


def by_reference(*, workspace_id: UUID, reference: str) -> UUID | None:
    """The user_id of a reference, if it was ever seen."""
    found = EndUser.objects.filter(workspace_id=workspace_id, reference=reference)
    return found.values_list("user_id", flat=True).first()


def find_or_make(*, workspace_id: UUID, name: str, now: datetime) -> UUID:
    """As `find`, and a reference that was never seen becomes an end user: of two at once, one makes it and the other
    waits at the unique index and finds it."""
    found = find(workspace_id=workspace_id, name=name)
    if found is not None:
        return found
    user_id = ids.new()
    try:
        with transaction.atomic():
            User.objects.create(id=user_id, username=f"{MADE}{user_id.hex}", password=make_password(None))
            EndUser.objects.create(workspace_id=workspace_id, user_id=user_id, reference=name, created_at=now)
    except IntegrityError:
        return EndUser.objects.get(workspace_id=workspace_id, reference=name).user_id
    return user_id


def meant(*, workspace_id: UUID, name: str) -> UUID | None:
    """The user_id that a filter means by an id or a reference; None for what is nobody's."""
    try:
        return ids.decode(User.PREFIX, name)
    except ids.InvalidId:
        return by_reference(workspace_id=workspace_id, reference=name) if is_reference(name) else None


def is_reference(text: str) -> bool:
    """Whether it can be the product's reference of somebody; what cannot be stored is not printable."""
    return 0 < len(text) <= REFERENCE_CHARACTERS and text.isprintable()
