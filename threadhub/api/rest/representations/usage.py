"""Tokens and money. Amounts of money are decimals as text, exact; the currency is the installation's."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers


class UsageRepresentation(serializers.Serializer[Any]):
    input_tokens = serializers.IntegerField(read_only=True)
    output_tokens = serializers.IntegerField(read_only=True)
    cached_tokens = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="The part of the input that came from the service's cache."
    )
    cost = serializers.CharField(
        read_only=True, allow_null=True, help_text="Null where it is not known, and for visitors."
    )


def as_shown(usage: Mapping[str, Any] | None, context: Mapping[str, Any]) -> dict[str, Any] | None:
    """Usage for the reader of a path: under a chat session's, what it cost is not told."""
    if usage is None:
        return None
    hidden = context.get("threads_path", "").startswith("/chat_sessions/")
    return {**usage, "cost": None} if hidden else dict(usage)
