"""People, their sign-ins, tokens and workspaces as the `ai` dialect spells them."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from threadhub.api.ai.fields import MomentField, WireIdField
from threadhub.workspaces.accounts import PROFILE_KEY
from threadhub.workspaces.models import ApiKey, Membership, User, Workspace
from threadhub.workspaces.permissions import Role
from threadhub.workspaces.sign_in import SignedIn

PRIVILEGED = (Role.OWNER, Role.ADMIN)


class WorkspaceOfUser(serializers.Serializer[Any]):
    """A workspace and what the user is there."""

    _id = WireIdField(Workspace.PREFIX, source="workspace_id")
    name = serializers.CharField(source="workspace.name")
    roles = serializers.SerializerMethodField()
    labels = serializers.ListField(child=serializers.CharField(), default=list, read_only=True)

    def get_roles(self, membership: Membership) -> list[str]:
        return [membership.role]


class UserObject(serializers.Serializer[Any]):
    """A signed-in user; `roles` is `["admin"]` for owners and admins of the workspace, else `["user"]`."""

    _id = serializers.CharField(source="wire_id")
    username = serializers.CharField()
    email = serializers.CharField(allow_blank=True)
    firstName = serializers.CharField(source="first_name")
    lastName = serializers.CharField(source="last_name")
    fullName = serializers.CharField(source="get_full_name")
    name = serializers.SerializerMethodField()
    roles = serializers.SerializerMethodField()

    def get_name(self, user: User) -> str:
        return user.get_full_name() or user.username

    def get_roles(self, user: User) -> list[str]:
        membership: Membership | None = self.context["membership"]
        return ["admin"] if membership is not None and membership.role in PRIVILEGED else ["user"]


class MeObject(UserObject):
    """The user behind a request, flat, with the workspace that the request acts in."""

    tenant = serializers.SerializerMethodField()
    phone = serializers.SerializerMethodField()
    profileImage = serializers.SerializerMethodField()
    birthDate = serializers.SerializerMethodField()
    metadata = serializers.SerializerMethodField()
    workspace = serializers.SerializerMethodField()

    def get_tenant(self, user: User) -> str | None:
        membership = self.context["membership"]
        return membership.workspace.wire_id if membership else None

    def get_phone(self, user: User) -> str | None:
        return _profile(user, "phone")

    def get_profileImage(self, user: User) -> str | None:
        return _profile(user, "profile_image")

    def get_birthDate(self, user: User) -> str | None:
        return _profile(user, "birth_date")

    def get_metadata(self, user: User) -> dict[str, Any]:
        return {name: value for name, value in user.metadata.items() if name != PROFILE_KEY}

    @extend_schema_field(WorkspaceOfUser(allow_null=True))
    def get_workspace(self, user: User) -> Any:
        membership = self.context["membership"]
        return WorkspaceOfUser(membership).data if membership else None


class SignedInPayload(serializers.Serializer[Any]):
    """The inside of an answer to a sign-in; the tokens only where they were asked for."""

    token = serializers.CharField(required=False)
    refreshToken = serializers.CharField(required=False)
    user = UserObject()
    workspace = WorkspaceOfUser(required=False)


class SignedInObject(serializers.Serializer[Any]):
    payload = SignedInPayload()


class ApiTokenObject(serializers.Serializer[ApiKey]):
    """An API token without its secret."""

    _id = serializers.CharField(source="wire_id")
    nickname = serializers.CharField(source="name")
    tokenPrefix = serializers.CharField(source="prefix")
    expiresAt = MomentField(source="expires_at")
    lastUsedAt = MomentField(source="last_used_at", allow_null=True)
    workspace = WireIdField(Workspace.PREFIX, source="workspace_id")
    created = MomentField(source="created_at")
    usageCount = serializers.IntegerField(source="usage_count")


class NewApiTokenObject(serializers.Serializer[Any]):
    """A new API token; `token` is shown this once."""

    token = serializers.CharField()
    apiToken = ApiTokenObject()


class WorkspaceMember(serializers.Serializer[Any]):
    user = WireIdField(User.PREFIX, source="user_id")
    roles = serializers.SerializerMethodField()

    def get_roles(self, membership: Membership) -> list[str]:
        return [membership.role]


class WorkspaceObject(serializers.Serializer[Any]):
    """A workspace of the user's; of its members only the user themselves is named."""

    _id = WireIdField(Workspace.PREFIX, source="workspace_id")
    name = serializers.CharField(source="workspace.name")
    logo = serializers.CharField(default=None, allow_null=True, read_only=True)
    tenant = WireIdField(Workspace.PREFIX, source="workspace_id")
    members = serializers.SerializerMethodField()
    isPrivilegedUser = serializers.SerializerMethodField()

    @extend_schema_field(WorkspaceMember(many=True))
    def get_members(self, membership: Membership) -> list[Any]:
        return [WorkspaceMember(membership).data]

    def get_isPrivilegedUser(self, membership: Membership) -> bool:
        return membership.role in PRIVILEGED


def payload(signed_in: SignedIn, *, tokens: bool) -> dict[str, Any]:
    """What a sign-in, sign-up or refresh answers."""
    user = UserObject(signed_in.user, context={"membership": signed_in.membership}).data
    inside: dict[str, Any] = {"user": user}
    if tokens:
        inside = {"token": signed_in.access_token, "refreshToken": signed_in.refresh_token, **inside}
    if signed_in.membership is not None:
        inside["workspace"] = WorkspaceOfUser(signed_in.membership).data
    return {"payload": inside}


def _profile(user: User, name: str) -> str | None:
    value: str | None = user.metadata.get(PROFILE_KEY, {}).get(name)
    return value
