"""What the account calls take."""

from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_date, parse_datetime
from rest_framework import serializers

from threadhub.lib import ids
from threadhub.lib.errors import Invalid
from threadhub.workspaces.models import Workspace

MAX_NAME = 150
MAX_TEXT = 1_000
NICKNAME_AND_EXPIRY = "nickname and expiresAt are required"
EXPIRES_IN_PAST = "expiresAt must be a valid future date"


def invitation_field() -> serializers.CharField:
    return serializers.CharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="The token of an invitation to a workspace, which is accepted with this.",
    )


class SignIn(serializers.Serializer[Any]):
    """`authType: "oauth"` asks for tokens; without it the answer sets a cookie."""

    username = serializers.CharField()
    password = serializers.CharField(trim_whitespace=False)
    authType = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    workspace = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    invitation = invitation_field()


class Profile(serializers.Serializer[Any]):
    """What a person says about themselves; every key is optional. Others are ignored."""

    firstName = serializers.CharField(source="first_name", required=False, allow_blank=True, max_length=MAX_NAME)
    lastName = serializers.CharField(source="last_name", required=False, allow_blank=True, max_length=MAX_NAME)
    fullName = serializers.CharField(required=False, allow_blank=True, allow_null=True, max_length=2 * MAX_NAME)
    email = serializers.EmailField(required=False, allow_blank=True)
    phone = serializers.CharField(required=False, allow_blank=True, allow_null=True, max_length=MAX_TEXT)
    birthDate = serializers.CharField(
        source="birth_date", required=False, allow_blank=True, allow_null=True, max_length=MAX_TEXT
    )
    profileImage = serializers.CharField(
        source="profile_image", required=False, allow_blank=True, allow_null=True, max_length=MAX_TEXT
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A full name counts only where its parts were not sent."""
        full_name = attrs.pop("fullName", None)
        if full_name and not {"first_name", "last_name"} & attrs.keys():
            attrs["first_name"], _, attrs["last_name"] = full_name.partition(" ")
        return attrs


class SignUp(Profile):
    username = serializers.CharField(max_length=MAX_NAME)
    password = serializers.CharField(trim_whitespace=False)
    authType = serializers.CharField(required=False, allow_null=True, allow_blank=True, write_only=True)
    invitation = invitation_field()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs.pop("authType", None)
        return super().validate(attrs)


class Me(Profile):
    """A partial user. `metadata` replaces the whole of it."""

    password = serializers.CharField(required=False, trim_whitespace=False)
    metadata = serializers.DictField(required=False)


class RefreshToken(serializers.Serializer[Any]):
    """Only for clients that do not send the token as `Authorization: Bearer`."""

    refreshToken = serializers.CharField(required=False, allow_null=True)


class NewApiToken(serializers.Serializer[Any]):
    nickname = serializers.CharField(
        max_length=200, error_messages=dict.fromkeys(("required", "null", "blank"), NICKNAME_AND_EXPIRY)
    )
    expiresAt = serializers.CharField(
        error_messages=dict.fromkeys(("required", "null", "blank"), NICKNAME_AND_EXPIRY),
        help_text="ISO 8601, in the future.",
    )
    workspace = serializers.CharField(required=False, allow_null=True, allow_blank=True)

    def validate_expiresAt(self, value: str) -> datetime:
        """The moment; UTC where it names no offset."""
        try:
            day = parse_date(value) if len(value) == 10 else None
            moment = datetime.combine(day, time.min) if day else parse_datetime(value)
            if moment is not None:
                moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            moment = None
        if moment is None or moment <= self.context["now"]:
            raise serializers.ValidationError(EXPIRES_IN_PAST)
        return moment


def workspace_id(text: str | None) -> UUID | None:
    """The workspace that a body names, if any. Raises Invalid for what is no id of one."""
    if not text:
        return None
    try:
        return ids.decode(Workspace.PREFIX, text)
    except ids.InvalidId:
        raise Invalid.at("body", "workspace", msg="There is no such workspace.") from None
