from typing import Any

from rest_framework import serializers

from threadhub.api.rest.representations.fields import moment


class BranchRepresentation(serializers.Serializer[Any]):
    """One course of a thread, since it was forked at a message."""

    number = serializers.IntegerField(read_only=True)
    parent = serializers.IntegerField(  # type: ignore[assignment]
        read_only=True, allow_null=True, help_text="The branch that it was forked from."
    )
    from_position = serializers.IntegerField(
        read_only=True, help_text="The last position that it shares with its parent; 0: none."
    )
    active = serializers.BooleanField(read_only=True)
    message_count = serializers.IntegerField(read_only=True)
    created_at = moment()
    last_message_at = moment(allow_null=True)
