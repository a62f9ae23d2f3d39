"""API keys: making, checking, revoking."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, QuerySet

from threadhub import audit
from threadhub.lib import secrets
from threadhub.lib.errors import Invalid, Unauthenticated
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.memberships import permissions_of
from threadhub.workspaces.models import ApiKey, User, Workspace
from threadhub.workspaces.permissions import SCOPE_PERMISSIONS, Permission, Scope

PREFIX = "th_"
MAX_PERSONAL_KEYS = 10
USE_NOTED_EVERY = timedelta(minutes=1)


class InvalidKey(Unauthenticated):
    """Invalid or expired API token."""

    code = "invalid_api_key"


class TooManyKeys(Invalid):
    """Maximum 10 active tokens allowed per user"""

    code = "too_many_keys"


@transaction.atomic
def create(
    *,
    workspace: Workspace,
    user: User,
    name: str,
    kind: ApiKey.Kind = ApiKey.Kind.WORKSPACE,
    scopes: Iterable[Scope] = (Scope.READ, Scope.WRITE, Scope.INVOKE, Scope.ADMIN),
    expires_at: datetime | None = None,
    by: audit.Who | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its secret, which is not kept: whoever asked must show it now. `by`: who makes it;
    None is the installation itself."""
    secret = secrets.new_token(PREFIX)
    key = ApiKey.objects.create(
        workspace=workspace,
        user=user,
        name=name,
        kind=kind,
        prefix=secret[:8],
        digest=secrets.digest(secret),
        scopes=[scope.value for scope in scopes],
        expires_at=expires_at,
    )
    key.refresh_from_db(fields=["created_at"])
    audit.record(
        actor=by or audit.By("system", workspace.pk),
        action="api_key.create",
        ids=[key.wire_id, user.wire_id],
        details={"kind": key.kind, "scopes": key.scopes},
    )
    return key, secret


def create_personal(
    *, workspace: Workspace, user: User, name: str, expires_at: datetime, now: datetime, by: audit.Who
) -> tuple[ApiKey, str]:
    """A key that acts as `user`; at most ten of them live at a time. Raises TooManyKeys."""
    User.objects.select_for_update().get(pk=user.pk)  # two requests at once must not both be the tenth
    if active(user=user, now=now).count() >= MAX_PERSONAL_KEYS:
        raise TooManyKeys
    return create(workspace=workspace, user=user, name=name, kind=ApiKey.Kind.PERSONAL, expires_at=expires_at, by=by)


def active(*, user: User, now: datetime) -> "QuerySet[ApiKey]":
    """The user's personal keys that still work, newest first."""
    return ApiKey.objects.filter(user=user, kind=ApiKey.Kind.PERSONAL, revoked_at__isnull=True).exclude(
        expires_at__lte=now
    )


@transaction.atomic
def revoke(*, key: ApiKey, now: datetime, by: audit.Who) -> None:
    """The key stops working with the next request."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=now):
        audit.record(actor=by, action="api_key.revoke", ids=[key.wire_id])


def authenticate(*, secret: str, now: datetime) -> Actor:
    """The actor behind an API key. Raises InvalidKey."""
    if not secrets.looks_whole(PREFIX, secret):
        raise InvalidKey
    key = ApiKey.objects.select_related("user").filter(digest=secrets.digest(secret)).first()
    if key is None or key.revoked_at or (key.expires_at and key.expires_at <= now) or not key.user.is_active:
        raise InvalidKey
    _note_use(key, now)
    return Actor(
        kind="key",
        workspace_id=key.workspace_id,
        permissions=_permissions(key),
        user_id=key.user_id,
        key_id=key.id,
        personal_key=key.kind == ApiKey.Kind.PERSONAL,
    )


def _permissions(key: ApiKey) -> frozenset[Permission]:
    scoped = frozenset().union(*(SCOPE_PERMISSIONS[Scope(scope)] for scope in key.scopes))
    if key.kind == ApiKey.Kind.WORKSPACE:
        return scoped
    return scoped & permissions_of(user_id=key.user_id, workspace_id=key.workspace_id)


def _note_use(key: ApiKey, now: datetime) -> None:
    """Last use is written at most once a minute, so that a busy key is not a hot row."""
    if key.last_used_at is None or now - key.last_used_at > USE_NOTED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now, usage_count=F("usage_count") + 1)
