"""Signing in: access tokens (signed, short-lived, not stored) and refresh tokens (stored as digests, used once)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import jwt
from django.conf import settings
from django.contrib.auth import authenticate as check_password
from django.db import transaction

from threadhub import audit
from threadhub.isolation.scope import Door, by_door
from threadhub.lib import ids, secrets, signed
from threadhub.lib.errors import Unauthenticated
from threadhub.limits import sign_ins
from threadhub.workspaces import invitations, memberships
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import Membership, RefreshToken, User

AUDIENCE = "threadhub:access"
REUSE_GRACE = timedelta(seconds=10)
REFRESH_PREFIX = "thr_"


class WrongPassword(Unauthenticated):
    """Username or password is wrong."""

    code = "wrong_password"


class InvalidAccessToken(Unauthenticated):
    """authorization token is not valid."""

    code = "invalid_access_token"


class InvalidRefreshToken(Unauthenticated):
    """The refresh token is unknown, used or expired."""

    code = "invalid_refresh_token"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in or a refresh yields."""

    user: User
    membership: Membership | None
    access_token: str
    refresh_token: str


@by_door(Door.SIGN_IN)
def with_password(
    *, username: str, password: str, workspace_id: UUID | None, now: datetime, invitation: str | None = None
) -> SignedIn:
    """Check the password and issue both tokens; with the token of an invitation, accept it and sign in there.

    Raises WrongPassword, RateLimited after many wrong ones, or NoWorkspace for a wanted one that is not the user's; and
    what `invitations.accept` does.
    """
    with sign_ins.tried(username):
        user = check_password(username=username, password=password)
        if not isinstance(user, User):
            record_failure(username)
            raise WrongPassword
    if invitation:
        accepted = invitations.accept(user=user, token=invitation, now=now)
        workspace_id = workspace_id or accepted.workspace_id
    if workspace_id is not None and memberships.first_workspace(user=user, wanted=workspace_id) is None:
        raise memberships.NoWorkspace("You are not a member of this workspace.")
    with transaction.atomic():
        signed_in = issue(user=user, workspace_id=workspace_id, now=now)
        record(signed_in, "user.sign_in")
    return signed_in


def record(signed_in: SignedIn, action: str) -> None:
    """Keep in the audit trail that somebody signed in, or stayed so."""
    user, membership = signed_in.user, signed_in.membership
    who = audit.By(f"user:{user.pk}", membership.workspace_id if membership else None)
    audit.record(actor=who, action=action, ids=[user.wire_id])


@by_door(Door.SIGN_IN)
def record_failure(username: str) -> None:
    """Whom somebody tried to be; not what they wrote, which may be a password in the wrong place."""
    user = User.objects.filter(username=username).first() if username.isprintable() else None
    named = [user.wire_id] if user else []
    audit.record(actor=audit.By("nobody"), action="user.sign_in_failed", ids=named, details={"known": bool(user)})


@by_door(Door.SIGN_IN)
def issue(*, user: User, workspace_id: UUID | None, now: datetime, sign_in_id: UUID | None = None) -> SignedIn:
    """Both tokens for a user who has proved to be themselves."""
    membership = memberships.first_workspace(user=user, wanted=workspace_id)
    sign_in_id = sign_in_id or ids.new()
    refresh_token = secrets.new_token(REFRESH_PREFIX)
    RefreshToken.objects.create(
        user=user,
        workspace_id=membership.workspace_id if membership else None,
        sign_in_id=sign_in_id,
        digest=secrets.digest(refresh_token),
        expires_at=now + timedelta(seconds=settings.REFRESH_TOKEN_SECONDS),
    )
    claims = {
        "sub": user.wire_id,
        "aud": AUDIENCE,
        "sid": str(sign_in_id),
        "wid": str(membership.workspace_id) if membership else None,
        "iat": now,
        "exp": now + timedelta(seconds=settings.ACCESS_TOKEN_SECONDS),
        "jti": str(ids.new()),
    }
    access_token = signed.encode(claims)
    return SignedIn(user, membership, access_token, refresh_token)


@by_door(Door.SIGN_IN)
def refresh(*, refresh_token: str, now: datetime) -> SignedIn:
    """New tokens for a refresh token, which is void from then on. Raises InvalidRefreshToken.

    A token that comes back after its use was copied by somebody: then all tokens of that sign-in are void. Two requests
    of one client at once are not that: for REUSE_GRACE the second is only refused.
    """
    with transaction.atomic():
        row = (
            RefreshToken.objects.select_for_update(of=("self",))
            .select_related("user")
            .filter(digest=secrets.digest(refresh_token))
            .first()
        )
        live = row is not None and row.revoked_at is None and row.expires_at > now and row.user.is_active
        if row is not None and live and row.used_at is None:
            RefreshToken.objects.filter(pk=row.pk).update(used_at=now)
            renewed = issue(user=row.user, workspace_id=row.workspace_id, now=now, sign_in_id=row.sign_in_id)
            record(renewed, "user.refresh")
            return renewed
        if row is not None and (row.used_at is None or now - row.used_at > REUSE_GRACE):
            revoke(sign_in_id=row.sign_in_id, now=now)
            who = audit.By(f"user:{row.user_id}", row.workspace_id)
            audit.record(actor=who, action="user.refresh_reused", ids=[row.user.wire_id])
    raise InvalidRefreshToken


@by_door(Door.SIGN_IN)
def revoke(*, sign_in_id: UUID, now: datetime) -> None:
    """Void every refresh token of one sign-in, and with them its access tokens."""
    RefreshToken.objects.filter(sign_in_id=sign_in_id, revoked_at__isnull=True).update(revoked_at=now)


@transaction.atomic
def sign_out(*, session: "Session", now: datetime) -> None:
    """End the sign-in that a session stems from."""
    revoke(sign_in_id=session.sign_in_id, now=now)
    audit.record(actor=session.actor, action="user.sign_out", ids=[session.user.wire_id])


@by_door(Door.SIGN_IN)
def revoke_all(*, user: User, but: UUID | None, now: datetime) -> None:
    """Void all sign-ins of a user, except one where it is named."""
    tokens = RefreshToken.objects.filter(user=user, revoked_at__isnull=True)
    (tokens.exclude(sign_in_id=but) if but else tokens).update(revoked_at=now)


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in user's actor and the sign-in it stems from."""

    actor: Actor
    user: User
    sign_in_id: UUID


def authenticate(*, access_token: str) -> Session:
    """The user behind an access token. Raises InvalidAccessToken."""
    try:
        claims = signed.decode(access_token, audience=AUDIENCE, require=["exp", "sub", "sid"])
        user_id = ids.decode(User.PREFIX, claims["sub"])
        sign_in_id = UUID(claims["sid"])
        workspace_id = UUID(claims["wid"]) if claims.get("wid") else None
    except (jwt.PyJWTError, ids.InvalidId, ValueError, TypeError) as error:
        raise InvalidAccessToken from error
    user = User.objects.filter(pk=user_id, is_active=True).first()
    if user is None or RefreshToken.objects.filter(sign_in_id=sign_in_id, revoked_at__isnull=False).exists():
        raise InvalidAccessToken
    if workspace_id is None:
        raise memberships.NoWorkspace
    role = memberships.role_of(user_id=user.id, workspace_id=workspace_id)
    actor = Actor(
        kind="user",
        workspace_id=workspace_id,
        permissions=memberships.permissions_as(role),
        user_id=user.id,
        member_id=user.id,
        role=role,
    )
    return Session(actor, user, sign_in_id)
