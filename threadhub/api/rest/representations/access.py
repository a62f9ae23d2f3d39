"""Members, invitations, API keys and end users as the `rest` dialect writes them."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from threadhub.agents.models import Agent
from threadhub.api.rest.inputs.access import SCOPES
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.workspaces import keys
from threadhub.workspaces.models import ApiKey, Invitation, User, Workspace
from threadhub.workspaces.permissions import Role

ROLES = [role.value for role in Role]
STATES = ["working", "expired", "revoked"]


class WorkspaceRepresentation(serializers.Serializer[Any]):
    id = WireId(Workspace.PREFIX)
    name = serializers.CharField(read_only=True)
    external_ref_policy = serializers.ChoiceField(choices=Workspace.ExternalRefPolicy.values, read_only=True)
    transcript_reason = serializers.BooleanField(read_only=True)
    created_at = moment()


class MemberRepresentation(serializers.Serializer[Any]):
    user_id = WireId(User.PREFIX)
    username = serializers.CharField(source="user.username", read_only=True)
    name = serializers.CharField(source="user.get_full_name", read_only=True)
    email = serializers.CharField(source="user.email", read_only=True)
    role = serializers.ChoiceField(choices=ROLES, read_only=True)
    created_at = moment()


class InvitationRepresentation(serializers.Serializer[Any]):
    id = WireId(Invitation.PREFIX)
    user = serializers.CharField(source="invitee", read_only=True)
    role = serializers.ChoiceField(choices=ROLES, read_only=True)
    created_at = moment()
    expires_at = moment()


class NewInvitation(InvitationRepresentation):
    """With its token, which no other answer shows again."""

    token = serializers.CharField(read_only=True)


class KeyRepresentation(serializers.Serializer[Any]):
    """A key without its secret. `user_id`: whose the threads are that it makes."""

    id = WireId(ApiKey.PREFIX)
    name = serializers.CharField(read_only=True)
    prefix = serializers.CharField(read_only=True)
    kind = serializers.ChoiceField(choices=ApiKey.Kind.values, read_only=True)
    state = serializers.SerializerMethodField()
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=SCOPES), read_only=True)
    agent_id = WireId(Agent.PREFIX, allow_null=True)
    user_id = WireId(User.PREFIX)
    rate_limit = serializers.IntegerField(read_only=True, allow_null=True)
    created_at = moment()
    expires_at = moment(allow_null=True)
    last_used_at = moment(allow_null=True)
    revoked_at = moment(allow_null=True)
    previous_secret_until = moment(source="previous_until", allow_null=True)

    @extend_schema_field(serializers.ChoiceField(choices=STATES))
    def get_state(self, key: ApiKey) -> str:
        if key.revoked_at is not None:
            return "revoked"
        return "working" if keys.works(key, self.context["now"]) else "expired"


class KeyWithSecret(KeyRepresentation):
    """With its secret, which no other answer shows again."""

    secret = serializers.CharField(read_only=True)


class EndUserRepresentation(serializers.Serializer[Any]):
    """`user_id` is what threads name; `reference` is the product's own."""

    user_id = WireId(User.PREFIX)
    reference = serializers.CharField(read_only=True)
    created_at = moment()
