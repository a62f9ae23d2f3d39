"""A person's own API keys: they act as that person. Managed after signing in, never by a key."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from threadhub.lib.errors import Forbidden, NotFound
from threadhub.workspaces import keys, workspaces
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import ApiKey, User


class KeyMayNotManage(Forbidden):
    """API token management is not allowed via token authentication"""

    code = "key_may_not_manage_keys"


class KeyNotFound(NotFound):
    """Token not found"""

    code = "api_key_not_found"


def visible(*, actor: Actor, now: datetime) -> "QuerySet[ApiKey]":
    """The actor's personal keys that still work, in all of their workspaces, newest first. Raises KeyMayNotManage."""
    return keys.active(user=_person(actor), now=now).order_by("-created_at", "-id")


@transaction.atomic
def create(
    *, actor: Actor, name: str, expires_at: datetime, now: datetime, workspace_id: UUID | None = None
) -> tuple[ApiKey, str]:
    """A new key and its secret, for the actor's workspace or another one of theirs.

    Raises KeyMayNotManage, WorkspaceNotFound, TooManyKeys.
    """
    user = _person(actor)
    workspace = workspaces.get(actor=actor, workspace_id=workspace_id or actor.workspace_id)
    by = replace(actor, workspace_id=workspace.pk)  # where the key is, there it is recorded
    return keys.create_personal(workspace=workspace, user=user, name=name, expires_at=expires_at, now=now, by=by)


def get(*, actor: Actor, key_id: UUID, now: datetime) -> ApiKey:
    """One of the actor's personal keys that still work. Raises KeyMayNotManage, KeyNotFound."""
    key = visible(actor=actor, now=now).filter(pk=key_id).first()
    if key is None:
        raise KeyNotFound
    return key


def revoke(*, actor: Actor, key: ApiKey, now: datetime) -> None:
    """The key stops working with the next request. Raises KeyMayNotManage."""
    require_person(actor=actor)
    keys.revoke(key=key, now=now, by=replace(actor, workspace_id=key.workspace_id))


def require_person(*, actor: Actor) -> None:
    """Raise KeyMayNotManage for anybody but a signed-in person."""
    if not actor.is_person:
        raise KeyMayNotManage


def _person(actor: Actor) -> User:
    require_person(actor=actor)
    user: User = User.objects.get(pk=actor.user_id)
    return user
