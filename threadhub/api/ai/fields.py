"""Values as the `ai` dialect spells them, beyond DRF's own fields."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from threadhub.lib import ids, json


@extend_schema_field(OpenApiTypes.STR)
class WireIdField(serializers.Field[Any, Any, Any, Any]):
    """The id of another noun, from its column: `WireIdField(Agent.PREFIX, source="agent_id")`."""

    def __init__(self, prefix: str, **options: Any) -> None:
        self.prefix = prefix
        super().__init__(read_only=True, **options)

    def to_representation(self, value: UUID) -> str:
        return ids.encode(self.prefix, value)


class MomentField(serializers.DateTimeField):
    """`2025-01-01T00:00:00.000Z`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(read_only=True, **options)

    def to_representation(self, value: Any) -> str:
        return json.timestamp(value)
