"""What a member of staff may see and do: superusers everything, others what their roles in workspaces allow.

Django's own model permissions play no part: one list of permissions (workspaces/permissions.py) governs the API and
the console alike.
"""

import time
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

from threadhub import audit
from threadhub.isolation import scope
from threadhub.isolation.scope import Door, by_door
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import Membership, User
from threadhub.workspaces.permissions import ROLE_PERMISSIONS, Permission, Role

NOTHING: frozenset[Permission] = frozenset()
TOLD = "console_door_told"  # in the session: when its last passing of the door was recorded
TOLD_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Rights:
    """One staff member's. `by_workspace` is empty for a superuser, who needs no membership."""

    user_id: UUID | None
    everything: bool
    by_workspace: dict[UUID, frozenset[Permission]]

    def may(self, permission: Permission | None, workspace_id: UUID | None = None) -> bool:
        """Whether they hold `permission` in the workspace, or in any where none is given. None: superusers only."""
        if self.everything or permission is None:
            return self.everything
        if workspace_id is None:
            return any(permission in held for held in self.by_workspace.values())
        return permission in self.by_workspace.get(workspace_id, NOTHING)

    def workspaces(self, permission: Permission | None) -> list[UUID] | None:
        """The workspaces where they hold `permission`; None where nothing is to be filtered."""
        if self.everything:
            return None
        return [pk for pk in self.by_workspace if self.may(permission, pk)]

    def actor(self, workspace_id: UUID) -> Actor:
        """They, acting in a workspace, for the domain's functions."""
        held = frozenset(Permission) if self.everything else self.by_workspace.get(workspace_id, NOTHING)
        return Actor(kind="user", workspace_id=workspace_id, permissions=held, user_id=self.user_id)


def of(request: HttpRequest) -> Rights:
    """The rights of whoever asks, read once per request."""
    known = request.__dict__.get("_console_rights")
    if isinstance(known, Rights) and known.user_id == request.user.pk:
        return known
    rights = _read(request.user)
    request.__dict__["_console_rights"] = rights
    return rights


def enter(request: HttpRequest) -> None:
    """Let the rest of the request see what whoever asks may see at all."""
    found = of(request)
    if found.everything:
        scope.enter_door(Door.CONSOLE)
        _tell(request, found)
    else:
        scope.enter(*found.by_workspace)


def _tell(request: HttpRequest, superuser: Rights) -> None:
    """That a superuser goes through the console's door stands in the audit trail, once in TOLD_SECONDS of a sign-in."""
    now = time.time()
    if now - request.session.get(TOLD, 0) > TOLD_SECONDS:
        request.session[TOLD] = now
        who = audit.By(f"user:{superuser.user_id}")
        audit.record(actor=who, action="door.open", ids=[], details={"door": Door.CONSOLE.value})


@by_door(Door.MEMBERSHIP)
def _read(user: User | AnonymousUser) -> Rights:
    if isinstance(user, AnonymousUser) or not (user.is_active and user.is_staff):
        return Rights(None, False, {})
    if user.is_superuser:
        return Rights(user.id, True, {})
    rows = Membership.objects.filter(user=user).values_list("workspace_id", "role")
    return Rights(user.id, False, {workspace_id: ROLE_PERMISSIONS[Role(role)] for workspace_id, role in rows})
