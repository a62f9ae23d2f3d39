"""The gate for workspaces: those that the actor belongs to."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from threadhub import audit
from threadhub.isolation import scope
from threadhub.isolation.scope import Door
from threadhub.lib.errors import Forbidden, NotFound
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import Membership, Workspace
from threadhub.workspaces.permissions import Permission

# Which permission each field asks.
NEEDED = {
    "name": Permission.WORKSPACE_WRITE,
    "external_ref_policy": Permission.SETTINGS_WRITE,
    "transcript_reason": Permission.SETTINGS_WRITE,
}


class WorkspaceNotFound(NotFound):
    """Workspace not found"""

    code = "workspace_not_found"


class OtherWorkspace(Forbidden):
    """You are signed in to another workspace. Sign in to this one for that."""

    code = "other_workspace"


def memberships_of(*, actor: Actor) -> "QuerySet[Membership]":
    """The actor's places, oldest first: all of a signed-in person's, and of a key's user the one it is made for."""
    places = Membership.objects.select_related("workspace").order_by("created_at", "id")
    places = places.filter(user_id=actor.user_id) if actor.user_id else places.none()
    return places if actor.is_person else places.filter(workspace_id=actor.workspace_id)


def enter_own(*, actor: Actor) -> None:
    """From here on the request of a signed-in person sees all of their workspaces."""
    if actor.is_person:
        with scope.through(Door.MEMBERSHIP):
            own = list(memberships_of(actor=actor).values_list("workspace_id", flat=True))
        scope.enter(actor.workspace_id, *own)


def current(*, actor: Actor) -> Membership | None:
    """The actor's place in the workspace it acts in; None for a user who left, with a key that stayed."""
    return memberships_of(actor=actor).filter(workspace_id=actor.workspace_id).first()


def visible(*, actor: Actor) -> QuerySet[Workspace]:
    """The workspaces that the actor belongs to; a key's own also when its user has left."""
    places = memberships_of(actor=actor).order_by().values("workspace_id")
    if actor.is_person:
        return Workspace.objects.filter(pk__in=places)
    return Workspace.objects.filter(pk=actor.workspace_id)


def get(*, actor: Actor, workspace_id: UUID) -> Workspace:
    """A workspace of the actor's. Raises WorkspaceNotFound."""
    workspace = visible(actor=actor).filter(pk=workspace_id).first()
    if workspace is None:
        raise WorkspaceNotFound
    return workspace


def get_own(*, actor: Actor, workspace_id: UUID) -> Workspace:
    """The workspace that the actor acts in, where its permissions count. Raises WorkspaceNotFound, OtherWorkspace."""
    if workspace_id == actor.workspace_id:
        return get(actor=actor, workspace_id=workspace_id)
    with scope.through(Door.MEMBERSHIP):
        get(actor=actor, workspace_id=workspace_id)
    raise OtherWorkspace


@transaction.atomic
def change(*, actor: Actor, workspace: Workspace, **fields: Any) -> Workspace:
    """Set some of NEEDED; what else it has stays. Raises PermissionMissing."""
    if unknown := fields.keys() - NEEDED.keys():
        raise TypeError(f"no such field of a workspace: {', '.join(sorted(unknown))}")
    for name in fields:
        actor.require(NEEDED[name])
    for name, value in fields.items():
        setattr(workspace, name, value)
    workspace.save(update_fields=list(fields))
    changed: dict[str, Any] = {"fields": sorted(fields)}
    changed |= {name: fields[name] for name in ("external_ref_policy", "transcript_reason") if name in fields}
    audit.record(actor=actor, action="workspace.update", ids=[workspace.wire_id], details=changed)
    return workspace
