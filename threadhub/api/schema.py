"""What OpenAPI says of every operation of both dialects."""

from typing import Any

from drf_spectacular.openapi import AutoSchema

JSON = "application/json"


class ApiSchema(AutoSchema):
    """Bodies are JSON; what a representation may leave out is not required; strict bodies take no other names."""

    def map_parsers(self) -> list[str]:
        return [JSON]

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        for name, field in serializer.fields.items():
            if (
                not getattr(field, "allow_empty", True)
                and schema.get("properties", {}).get(name, {}).get("type") == "array"
            ):
                schema["properties"][name].setdefault("minItems", 1)
        if direction == "request":
            return self._strict(serializer, schema) if getattr(serializer, "strict", False) else schema
        optional = {name for name, field in serializer.fields.items() if field._kwargs.get("required") is False}
        required = [name for name in schema.pop("required", []) if name not in optional]
        return {**schema, "required": required} if required else schema

    def _get_request_for_media_type(self, serializer: Any, direction: Any = "request") -> tuple[Any, bool]:
        """Also where any one of several names will do, there must be a body."""
        schema, required = super()._get_request_for_media_type(serializer, direction)  # type: ignore[no-untyped-call]
        return schema, required or "minProperties" in getattr(serializer, "rules", {})

    def _strict(self, serializer: Any, schema: dict[str, Any]) -> dict[str, Any]:
        """What a body of ours refuses, beyond what its fields say."""
        if serializer.whole:
            schema["required"] = sorted(name for name, field in serializer.fields.items() if field.required)
        return {**schema, "additionalProperties": False, **serializer.rules}
