"""Fields as the `rest` dialect writes them."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from threadhub.lib import ids


@extend_schema_field(OpenApiTypes.STR)
class WireId(serializers.Field[Any, Any, str, Any]):
    """An id column, spelled with the prefix of what it points at."""

    def __init__(self, prefix: str, **options: Any) -> None:
        super().__init__(read_only=True, **options)
        self.prefix = prefix

    def to_representation(self, value: Any) -> str:
        return ids.encode(self.prefix, value)

    def __deepcopy__(self, memo: Any) -> "WireId":
        options = {name: value for name, value in self._kwargs.items() if name not in ("prefix", "read_only")}  # type: ignore[attr-defined]
        return type(self)(self.prefix, **options)


def moment(**options: Any) -> serializers.DateTimeField:
    """A time; the renderer writes it as `2025-01-01T00:00:00.000Z`."""
    return serializers.DateTimeField(format=None, read_only=True, **options)
