"""Fields as the `rest` dialect writes them."""

from typing import Any
from uuid import UUID

from rest_framework import serializers

from threadhub.lib import ids


class WireId(serializers.CharField):
    """An id column, spelled with the prefix of what it points at."""

    def __init__(self, prefix: str, **options: Any) -> None:
        super().__init__(read_only=True, **options)
        self.prefix = prefix

    def to_representation(self, value: UUID) -> str:
        return ids.encode(self.prefix, value)

    def __deepcopy__(self, memo: Any) -> "WireId":
        return type(self)(self.prefix, **{key: value for key, value in self._kwargs.items() if key != "read_only"})


def moment(**options: Any) -> serializers.DateTimeField:
    """A time; the renderer writes it as `2025-01-01T00:00:00.000Z`."""
    return serializers.DateTimeField(format=None, read_only=True, **options)
