"""The base of all bodies: exact types, no unknown names."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, NoReturn

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request

from threadhub.api.rest import unknown
from threadhub.lib import json

TITLE_CHARACTERS = 1_000
METADATA_BYTES = 16_384
MAX_TOOLS = 100
TOOL_CHARACTERS = 200
AMOUNT = "[0-9]{1,12}([.][0-9]{1,6})?"


class Strict(serializers.Serializer[Any]):
    """Refuses names it does not know, naming the nearest that it does."""

    strict: ClassVar[bool] = True  # OpenAPI says so too
    whole: ClassVar[bool] = False  # a PATCH, too, must have what is required
    rules: ClassVar[dict[str, Any]] = {}  # between fields, as JSON Schema says them

    @classmethod
    def parse(cls, request: Request, **options: Any) -> dict[str, Any]:
        """The body's validated fields; only those that were sent, and defaults. Raises ValidationError."""
        serializer = cls(data=request.data, **options)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def to_internal_value(self, data: Any) -> Any:
        faults: dict[str, Any] = {}
        if isinstance(data, Mapping):
            known = [name for name, field in self.fields.items() if not field.read_only]
            faults = {
                str(name)[: unknown.SHOWN]: [
                    ErrorDetail(unknown.sentence(str(name), known, "field"), code="unknown_field")
                ]
                for name in data
                if name not in known
            }
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            detail = error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
            raise serializers.ValidationError({**detail, **faults}) from error
        if faults:
            raise serializers.ValidationError(faults)
        return value


class Text(serializers.CharField):
    """A JSON string, as it is: no number passes for text, no space is trimmed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class Whole(serializers.IntegerField):
    """A JSON integer."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class Real(serializers.FloatField):
    """A JSON number."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return float(super().to_internal_value(data))


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "pattern": f"^{AMOUNT}$", "example": "1.50"},
            {"type": "integer", "minimum": 0, "maximum": 999_999_999_999},
        ]
    }
)
class Money(serializers.DecimalField):
    """An amount of the installation's currency: a decimal as text, `"1.50"`, or a whole number. A JSON number with a
    fraction is refused: it may not be what was meant, down to the last digit."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=18, decimal_places=6, min_value=Decimal(0), **options)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        # Before the library's own look: it takes text without a digit for null, and " 1e3 " for an amount.
        if isinstance(data, str) and not re.fullmatch(AMOUNT, data):
            self._refuse()
        return super().validate_empty_values(data)

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, str | int):
            self._refuse()
        return Decimal(super().to_internal_value(data))

    def _refuse(self) -> NoReturn:
        raise serializers.ValidationError('This must be an amount as text, such as "1.50".', code="invalid")


class Truth(serializers.BooleanField):
    """JSON's true or false."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Metadata(serializers.DictField):
    """A JSON object of the client's own, of limited size."""

    default_error_messages = {"too_large": f"metadata may have at most {METADATA_BYTES} bytes as JSON."}

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if len(json.dumps(value)) > METADATA_BYTES:
            self.fail("too_large")
        return value


def title(**options: Any) -> Text:
    return Text(required=False, allow_null=True, allow_blank=True, max_length=TITLE_CHARACTERS, **options)


def tool_names(**options: Any) -> serializers.ListField:
    """Names or ids of tools."""
    child = Text(max_length=TOOL_CHARACTERS)
    return serializers.ListField(child=child, required=False, allow_null=True, max_length=MAX_TOOLS, **options)
