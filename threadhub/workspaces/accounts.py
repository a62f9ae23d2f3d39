"""Accounts of people: made by signing up, changed by themselves."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import IntegrityError, transaction

from threadhub import audit
from threadhub.isolation.scope import Door, by_door
from threadhub.lib import ids
from threadhub.lib.errors import Forbidden, Invalid
from threadhub.workspaces import invitations, memberships, sign_in
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.models import User, Workspace
from threadhub.workspaces.permissions import Permission, Role
from threadhub.workspaces.sign_in import SignedIn

COLUMNS = frozenset({"first_name", "last_name", "email"})
# Kept under one key of `User.metadata`, beside what the product itself keeps there.
PROFILE_KEY = "profile"
PROFILE = frozenset({"phone", "birth_date", "profile_image"})
CREDENTIALS = frozenset({"password", "email"})  # who has these has the account


class SignUpDisabled(Forbidden):
    """Signing up is switched off here. Ask an administrator for an account."""

    code = "sign_up_disabled"


class KeyMayNotChange(Forbidden):
    """Password and e-mail address can only be changed after signing in with the password."""

    code = "key_may_not_change_account"


@by_door(Door.SIGN_IN)
@transaction.atomic
def sign_up(*, username: str, password: str, now: datetime, invitation: str | None = None, **fields: Any) -> SignedIn:
    """A new user, signed in. `fields` are of COLUMNS and PROFILE.

    With the token of an invitation for this username or e-mail address they join its workspace, and need not wait for
    SIGNUP_ENABLED: whoever invited them has let them in. Others join SIGNUP_WORKSPACE as a member; where none is set,
    they own a new workspace of that name alone. Raises SignUpDisabled, InvitationNotFound, Invalid.
    """
    if not (settings.SIGNUP_ENABLED or invitation):
        raise SignUpDisabled
    user = User(username=username)
    _assign(user, fields)
    if invitation:  # before anything tells whether there is such a user
        invitations.lock(user=user, token=invitation, now=now)
    _set_password(user, password)
    _save(user)
    if invitation:
        audit.record(actor=audit.By(f"user:{user.pk}"), action="user.sign_up", ids=[user.wire_id])
        joined = invitations.accept(user=user, token=invitation, now=now)
        return sign_in.issue(user=user, workspace_id=joined.workspace_id, now=now)
    if settings.SIGNUP_WORKSPACE:
        workspace, role = _sign_up_workspace(), Role.MEMBER
    else:
        workspace, role = Workspace.objects.create(name=username), Role.OWNER
    by = audit.By(f"user:{user.pk}", workspace.pk)
    audit.record(actor=by, action="user.sign_up", ids=[user.wire_id])
    memberships.join(workspace=workspace, user=user, role=role, by=by)
    return sign_in.issue(user=user, workspace_id=workspace.pk, now=now)


@transaction.atomic
def change(*, actor: Actor, now: datetime, keep_sign_in: UUID | None = None, **fields: Any) -> User:
    """Change the actor's own user: `password`, and fields of COLUMNS and PROFILE, and `metadata` as a whole.

    A new password ends all sign-ins but `keep_sign_in`. Raises KeyMayNotChange, PermissionMissing, Invalid.
    """
    if actor.end_user_id is not None:
        raise KeyMayNotChange("An account is changed by its owner alone, not on their behalf.")
    if not actor.is_person:
        actor.require(Permission.THREAD_WRITE)  # a key that may only read changes nothing
        if CREDENTIALS & fields.keys():
            raise KeyMayNotChange
    user: User = User.objects.select_for_update().get(pk=actor.user_id)
    changed = sorted(fields)
    password = fields.pop("password", None)
    _assign(user, fields)
    if password is not None:
        _set_password(user, password)
        sign_in.revoke_all(user=user, but=keep_sign_in, now=now)
    _save(user, changed=fields.keys())
    audit.record(actor=actor, action="user.update", ids=[user.wire_id], details={"fields": changed})
    return user


def _assign(user: User, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if name in COLUMNS:
            setattr(user, name, value)
        elif name in PROFILE:
            user.metadata = {**user.metadata, PROFILE_KEY: {**user.metadata.get(PROFILE_KEY, {}), name: value}}
        elif name == "metadata":
            user.metadata = {**value, PROFILE_KEY: user.metadata.get(PROFILE_KEY, {})}
        else:
            raise TypeError(f"no such field of an account: {name}")


def _set_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid.at("body", "password", msg=" ".join(error.messages), type="weak_password") from error
    user.set_password(password)


def _save(user: User, changed: Collection[str] | None = None) -> None:
    """Check what was changed, or everything, and save. Older values may be such that nobody could sign up with them."""
    try:
        user.full_clean(exclude=[] if changed is None else {field.name for field in User._meta.fields} - set(changed))
        with transaction.atomic():
            user.save()
    except ValidationError as error:
        rows = [
            {"loc": ["body", field], "msg": message, "type": "value_error"}
            for field, messages in error.message_dict.items()
            for message in messages
        ]
        raise Invalid("The account is not valid.", rows) from error
    except IntegrityError as error:  # somebody else took the username since full_clean looked
        raise Invalid.at("body", "username", msg="A user with that username already exists.") from error


def _sign_up_workspace() -> Workspace:
    try:
        return Workspace.objects.get(pk=ids.decode(Workspace.PREFIX, settings.SIGNUP_WORKSPACE))
    except (ids.InvalidId, Workspace.DoesNotExist) as error:
        raise ImproperlyConfigured("SIGNUP_WORKSPACE is not the id of a workspace.") from error
