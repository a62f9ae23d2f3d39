"""API keys: making, checking, rotating, revoking. Who may do that is decided in `managed_keys` and `personal_keys`."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from threadhub import audit
from threadhub.lib import ids, secrets
from threadhub.lib.errors import Conflict, Invalid, Unauthenticated
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.memberships import permissions_as, role_of
from threadhub.workspaces.models import ApiKey, User, Workspace
from threadhub.workspaces.permissions import BOUND, END_USER, SCOPE_PERMISSIONS, Permission, Scope

PREFIX = "th_"
MAX_PERSONAL_KEYS = 10
USE_NOTED_EVERY = timedelta(minutes=1)
LONGEST_OVERLAP = timedelta(days=7)
ALL_SCOPES = (Scope.READ, Scope.WRITE, Scope.INVOKE, Scope.ADMIN)
KNOWN_SCOPES = frozenset(scope.value for scope in Scope)


class InvalidKey(Unauthenticated):
    """Invalid or expired API token."""

    code = "invalid_api_key"


class TooManyKeys(Invalid):
    """Maximum 10 active tokens allowed per user"""

    code = "too_many_keys"


class KeyNotWorking(Conflict):
    """This key is revoked or expired. Make a new one."""

    code = "key_not_working"


@transaction.atomic
def create(
    *,
    workspace: Workspace,
    user: User,
    name: str,
    kind: ApiKey.Kind = ApiKey.Kind.WORKSPACE,
    scopes: Iterable[Scope] = ALL_SCOPES,
    expires_at: datetime | None = None,
    agent_id: UUID | None = None,
    rate_limit: int | None = None,
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
        agent_id=agent_id,
        rate_limit=rate_limit,
    )
    key.refresh_from_db(fields=["created_at"])
    audit.record(
        actor=by or audit.By("system", workspace.pk),
        action="api_key.create",
        ids=[*about(key), user.wire_id],
        details={"kind": key.kind, "scopes": key.scopes, "bound": agent_id is not None},
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
def rotate(*, key: ApiKey, overlap: timedelta, now: datetime) -> tuple[ApiKey, str]:
    """A new secret for the same key. The one before works until `overlap` has passed, one older than that no more.

    Raises KeyNotWorking.
    """
    locked = ApiKey.objects.select_for_update().get(pk=key.pk)
    if not works(locked, now):
        raise KeyNotWorking
    secret = secrets.new_token(PREFIX)
    locked.previous_digest = locked.digest if overlap else None
    locked.previous_until = now + overlap if overlap else None
    locked.prefix, locked.digest = secret[:8], secrets.digest(secret)
    locked.save(update_fields=["prefix", "digest", "previous_digest", "previous_until"])
    return locked, secret


@transaction.atomic
def revoke(*, key: ApiKey, now: datetime, by: audit.Who) -> None:
    """The key stops working with the next request, with whichever secret."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=now):
        audit.record(actor=by, action="api_key.revoke", ids=about(key), details={"kind": key.kind})


def about(key: ApiKey) -> list[str]:
    """What an event of a key is about: the key, and the agent that it is bound to."""
    return [key.wire_id, *([ids.encode("agent", key.agent_id)] if key.agent_id else [])]


def authenticate(*, secret: str, now: datetime) -> Actor:
    """The actor behind an API key. Raises InvalidKey."""
    return actor_of(find(secret=secret, now=now))


def find(*, secret: str, now: datetime) -> ApiKey:
    """The key of a secret that works now; its use is noted. Raises InvalidKey; what is mistyped or cut is refused
    without a look-up."""
    if not secrets.looks_whole(PREFIX, secret):
        raise InvalidKey
    digest = secrets.digest(secret)
    key = ApiKey.objects.select_related("user").order_by().filter(Q(digest=digest) | Q(previous_digest=digest)).first()
    if key is None or not works(key, now) or not _is_current(key, digest, now) or not key.user.is_active:
        raise InvalidKey
    _note_use(key, now)
    return key


def works(key: ApiKey, now: datetime) -> bool:
    """Whether the key is neither revoked nor expired."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def permissions_of(*, kind: str, scopes: Iterable[str], bound: bool) -> frozenset[Permission]:
    """What a key with these scopes may do at most: a personal one no more than its user besides. A scope that this
    release does not know (a newer one may have stored it) gives nothing."""
    scoped: frozenset[Permission] = frozenset().union(
        *(SCOPE_PERMISSIONS[Scope(scope)] for scope in scopes if scope in KNOWN_SCOPES)
    )
    if kind == ApiKey.Kind.END_USER:
        scoped &= END_USER
    return scoped & BOUND if bound else scoped


def _is_current(key: ApiKey, digest: bytes, now: datetime) -> bool:
    if bytes(key.digest) == digest:
        return True
    return key.previous_until is not None and key.previous_until > now


def actor_of(key: ApiKey) -> Actor:
    """Who acts with a key that works."""
    permissions = permissions_of(kind=key.kind, scopes=key.scopes, bound=key.agent_id is not None)
    role = None
    if key.kind != ApiKey.Kind.WORKSPACE:
        role = role_of(user_id=key.user_id, workspace_id=key.workspace_id)
    if key.kind == ApiKey.Kind.PERSONAL:
        permissions &= permissions_as(role)
    return Actor(
        kind="key",
        workspace_id=key.workspace_id,
        permissions=permissions,
        user_id=key.user_id,
        key_id=key.id,
        agent_id=key.agent_id,
        personal_key=key.kind == ApiKey.Kind.PERSONAL,
        member_id=None if key.kind == ApiKey.Kind.WORKSPACE else key.user_id,
        role=role,
        rate_limit=key.rate_limit,
        end_user_id=key.user_id if key.kind == ApiKey.Kind.END_USER else None,
    )


def _note_use(key: ApiKey, now: datetime) -> None:
    """Last use is written at most once a minute, so that a busy key is not a hot row. Of two requests that both find it
    old, the second updates nothing."""
    if key.last_used_at is None or now - key.last_used_at >= USE_NOTED_EVERY:
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - USE_NOTED_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now, usage_count=F("usage_count") + 1)
