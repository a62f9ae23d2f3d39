"""Bodies about who may come in: workspaces, members, invitations, API keys."""

from datetime import timedelta
from typing import Any

from rest_framework import serializers

from threadhub.api.rest.inputs.strict import Strict, Text, Truth, Whole
from threadhub.workspaces import keys
from threadhub.workspaces.models import Workspace
from threadhub.workspaces.models.end_user import REFERENCE_CHARACTERS
from threadhub.workspaces.permissions import Role, Scope

SCOPES = [scope.value for scope in Scope]
LONGEST_OVERLAP = int(keys.LONGEST_OVERLAP.total_seconds())


class WorkspaceChange(Strict):
    """What is sent is changed, the rest stays."""

    name = Text(max_length=200)
    external_ref_policy = serializers.ChoiceField(
        choices=Workspace.ExternalRefPolicy.values,
        help_text="What happens to an external_ref that looks like personal data.",
    )
    transcript_reason = Truth(help_text="Staff say why before the console shows them a transcript.")


class RoleField(serializers.ChoiceField):
    """The name of a role; becomes the role."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=[role.value for role in Role], **options)

    def to_internal_value(self, data: Any) -> Any:
        return Role(super().to_internal_value(data))


class MemberChange(Strict):
    whole = True
    role = RoleField()


class NewMember(Strict):
    """`user`: a username or an e-mail address. Whether there is such an account is not told."""

    user = Text(max_length=254)
    role = RoleField(default=Role.MEMBER)


class Acceptance(Strict):
    token = Text(max_length=200)


class ScopeField(serializers.ChoiceField):
    def __init__(self, **options: Any) -> None:
        super().__init__(choices=SCOPES, **options)

    def to_internal_value(self, data: Any) -> Any:
        return Scope(super().to_internal_value(data))


class KeyChange(Strict):
    """What is sent is changed, the rest stays; `expires_at: null`: it works until it is revoked. `rate_limit`: requests
    a minute; null is the installation's."""

    name = Text(max_length=200)
    scopes = serializers.ListField(child=ScopeField(), allow_empty=False, max_length=len(SCOPES))
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    rate_limit = Whole(required=False, allow_null=True, min_value=1, max_value=2**31 - 1)

    def validate_scopes(self, value: list[Scope]) -> list[Scope]:
        return list(dict.fromkeys(value))


class NewKey(KeyChange):
    """`agent_id` binds the key to one agent; `end_user` to one person: a `user_…` id, or the product's reference."""

    agent_id = Text(required=False, allow_null=True)
    end_user = Text(required=False, allow_null=True, max_length=REFERENCE_CHARACTERS)


class Rotation(Strict):
    """How long the secret before still works."""

    overlap_seconds = Whole(default=3600, min_value=0, max_value=LONGEST_OVERLAP)

    def validate_overlap_seconds(self, value: int) -> timedelta:
        return timedelta(seconds=value)
