"""The keys of a workspace, managed by its owners, its admins, and keys that may. Nobody gives more than they have."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from threadhub import audit
from threadhub.lib.errors import Forbidden, Invalid, NotFound
from threadhub.workspaces import end_users, keys
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import ApiKey, User, Workspace
from threadhub.workspaces.permissions import Permission, Scope

CHANGEABLE = frozenset({"name", "scopes", "expires_at", "rate_limit"})


class KeyNotFound(NotFound):
    """API key not found."""

    code = "api_key_not_found"


class MoreThanOwn(Forbidden):
    """A key cannot be given more than you may do yourself."""

    code = "more_than_own"


class PersonalKey(Forbidden):
    """This key acts as a person: only they may change it. You may revoke it."""

    code = "personal_key"


def visible(*, actor: Actor) -> "QuerySet[ApiKey]":
    """Every key of the actor's workspace, newest first. Raises PermissionMissing."""
    actor.require(Permission.KEY_READ)
    return ApiKey.objects.select_related("user").filter(workspace_id=actor.workspace_id).order_by("-created_at", "-id")


def get(*, actor: Actor, key_id: UUID) -> ApiKey:
    """One key of the actor's workspace. Raises PermissionMissing, KeyNotFound."""
    key = visible(actor=actor).filter(pk=key_id).first()
    if key is None:
        raise KeyNotFound
    return key


@transaction.atomic
def create(
    *,
    actor: Actor,
    name: str,
    scopes: Sequence[Scope],
    now: datetime,
    expires_at: datetime | None = None,
    agent_id: UUID | None = None,
    end_user: str | None = None,
    user_id: UUID | None = None,
    rate_limit: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret. `agent_id`, which the caller has looked up, is the only agent that it reaches;
    `end_user` (an id or the product's reference) the only person whom it acts for. Threads that any other key makes are
    of `user_id`, a member whom the caller has looked up, or of who makes it. `rate_limit`: requests a minute.

    Raises PermissionMissing, MoreThanOwn, Invalid, EndUserUnknown.
    """
    actor.require(Permission.KEY_WRITE)
    kind = ApiKey.Kind.WORKSPACE if end_user is None else ApiKey.Kind.END_USER
    _check_scopes(actor, scopes, kind=kind, bound=agent_id is not None)
    _check_expiry(expires_at, now)
    _check_rate_limit(rate_limit)
    return keys.create(
        workspace=Workspace.objects.get(pk=actor.workspace_id),
        user=_holder(actor, user_id, end_user, now),
        name=name,
        kind=kind,
        scopes=scopes,
        expires_at=expires_at,
        agent_id=agent_id,
        rate_limit=rate_limit,
        by=actor,
    )


@transaction.atomic
def change(*, actor: Actor, key: ApiKey, now: datetime, **fields: Any) -> ApiKey:
    """Set some of CHANGEABLE; what the key is bound to stays. It counts from the next request on.

    Raises PermissionMissing, PersonalKey, MoreThanOwn, KeyNotWorking, Invalid.
    """
    if unknown := fields.keys() - CHANGEABLE:
        raise TypeError(f"no such field of a key: {', '.join(sorted(unknown))}")
    locked = _lock(actor, key)
    if not keys.works(locked, now):
        raise keys.KeyNotWorking
    if "scopes" in fields:
        _check_scopes(actor, fields["scopes"], kind=locked.kind, bound=locked.agent_id is not None)
        fields["scopes"] = [scope.value for scope in fields["scopes"]]
    _check_expiry(fields.get("expires_at"), now)
    _check_rate_limit(fields.get("rate_limit"))
    for field, value in fields.items():
        setattr(locked, field, value)
    locked.save(update_fields=list(fields))
    details = {"kind": key.kind, "fields": sorted(fields)}
    audit.record(actor=actor, action="api_key.change", ids=keys.about(key), details=details)
    return locked


@transaction.atomic
def rotate(*, actor: Actor, key: ApiKey, overlap: timedelta, now: datetime) -> tuple[ApiKey, str]:
    """A new secret; the old one works until `overlap` has passed. Raises as `change`, but for Invalid."""
    rotated, secret = keys.rotate(key=_lock(actor, key), overlap=overlap, now=now)
    details = {"kind": key.kind, "overlap_seconds": int(overlap.total_seconds())}
    audit.record(actor=actor, action="api_key.rotate", ids=keys.about(key), details=details)
    return rotated, secret


@transaction.atomic
def revoke(*, actor: Actor, key: ApiKey, now: datetime) -> None:
    """The key stops working with the next request, everywhere. Raises PermissionMissing."""
    actor.require(Permission.KEY_WRITE)
    keys.revoke(key=key, now=now, by=actor)


def _lock(actor: Actor, key: ApiKey) -> ApiKey:
    """The key's row, for somebody who may have all that it may do: they are about to hold its secret, or widen it."""
    actor.require(Permission.KEY_WRITE)
    locked = ApiKey.objects.select_for_update(of=("self",)).select_related("user").get(pk=key.pk)
    if locked.kind == ApiKey.Kind.PERSONAL:
        raise PersonalKey
    if not keys.KNOWN_SCOPES.issuperset(locked.scopes) and actor.permissions != frozenset(Permission):
        raise MoreThanOwn  # what such a scope gives elsewhere, only somebody who may do everything has for sure
    known = [Scope(scope) for scope in locked.scopes if scope in keys.KNOWN_SCOPES]
    _check_scopes(actor, known, kind=locked.kind, bound=locked.agent_id is not None)
    return locked


def _check_scopes(actor: Actor, scopes: Sequence[Scope], *, kind: str, bound: bool) -> None:
    if Scope.ADMIN in scopes and (bound or kind == ApiKey.Kind.END_USER):
        message = "A key that is bound to an agent or an end user cannot have the scope admin."
        raise Invalid.at("body", "scopes", msg=message)
    if not keys.permissions_of(kind=kind, scopes=scopes, bound=bound) <= actor.permissions:
        raise MoreThanOwn


def _check_expiry(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise Invalid.at("body", "expires_at", msg="This must be in the future.")


def _check_rate_limit(rate_limit: int | None) -> None:
    """A workspace may limit its keys, but not lift the installation's limit."""
    most = settings.RATE_LIMIT_KEY
    if rate_limit is not None and 0 < most < rate_limit:
        raise Invalid.at("body", "rate_limit", msg=f"A key may make {most} requests a minute at most.")


def _holder(actor: Actor, user_id: UUID | None, end_user: str | None, now: datetime) -> User:
    """Whose the threads are that the key makes."""
    if end_user is None:
        user_id = user_id or actor.user_id
    else:
        user_id = end_users.find_or_make(workspace_id=actor.workspace_id, name=end_user, now=now)
    user: User = User.objects.get(pk=user_id)
    return user
