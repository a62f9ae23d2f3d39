"""Audit events and access alerts as the `rest` dialect writes them."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from chat_sessions.models import ChatSession
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.audit.models import AccessAlert, AuditEvent
from threadhub.lib import ids
from threadhub.workspaces.models import ApiKey, User

PREFIXES = {"user": User.PREFIX, "key": ApiKey.PREFIX, "session": ChatSession.PREFIX}


def identity_of(text: str) -> str:
    """How the trail writes whom a wire id names; any other text as it is, which finds nothing or `system`."""
    for kind, prefix in PREFIXES.items():
        try:
            return f"{kind}:{ids.decode(prefix, text)}"
        except ids.InvalidId:
            continue
    return text


def named(identity: str | None) -> str | None:
    """The wire id of an identity; `system` and `nobody` have none and stay."""
    kind, colon, value = (identity or "").partition(":")
    try:
        return ids.encode(PREFIXES[kind], UUID(value)) if colon else identity
    except (KeyError, ValueError):
        return identity


@extend_schema_field({"type": "string", "nullable": True})
class Identity(serializers.CharField):
    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: str) -> Any:
        return named(value)


class OriginRepresentation(serializers.Serializer[Any]):
    """From where: `face` is rest, ai, console, command or worker. Masked values are null."""

    face = serializers.CharField(read_only=True)
    address = serializers.CharField(read_only=True, allow_null=True)
    user_agent = serializers.CharField(read_only=True, allow_null=True)
    request_id = serializers.CharField(read_only=True)


class AuditEventRepresentation(serializers.Serializer[Any]):
    id = WireId(AuditEvent.PREFIX)
    created_at = moment()
    actor = Identity(help_text="Id of a user, key or chat session; `system`.")
    on_behalf_of = Identity(allow_null=True)
    action = serializers.CharField(read_only=True)
    ids = serializers.ListField(child=serializers.CharField(), read_only=True)
    details = serializers.DictField(read_only=True)
    origin = OriginRepresentation(source="*", read_only=True)
    seq = serializers.IntegerField(read_only=True, allow_null=True, help_text="Place in the chain; null: not yet.")
    hash = serializers.SerializerMethodField(help_text="SHA-256 in hexadecimal, chained to the event before it.")

    def get_hash(self, event: AuditEvent) -> str | None:
        return bytes(event.hash).hex() if event.hash is not None else None


class AccessAlertRepresentation(serializers.Serializer[Any]):
    id = WireId(AccessAlert.PREFIX)
    created_at = moment()
    kind = serializers.ChoiceField(choices=AccessAlert.Kind.values, read_only=True)
    actor = Identity(help_text="Whose access it was.")
    count = serializers.IntegerField(read_only=True, help_text="How many, when the limit was passed.")
    window_start = moment()
    address = serializers.CharField(read_only=True, allow_null=True)
