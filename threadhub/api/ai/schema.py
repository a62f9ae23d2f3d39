"""What OpenAPI says of every operation of this dialect, beside what its view declares."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import serializers

from threadhub.api.authentication import COOKIE
from threadhub.api.schema import ApiSchema

ALIAS = "/api/v1/"


def without_alias(endpoints: list[Any], **_: Any) -> list[Any]:
    """Each address once: those under the alias are the same as those under `/api/`."""
    return [endpoint for endpoint in endpoints if not endpoint[0].startswith(ALIAS)]


class CookieScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A key or a token, in either header, or the sign-in cookie."""

    target_class = "threadhub.api.authentication.CookieAuthentication"
    name = ["aiBearer", "aiKey", "cookie"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        return [{"aiBearer": []}, {"aiKey": []}, {"cookie": []}]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [
            {"type": "http", "scheme": "bearer"},
            {"type": "apiKey", "in": "header", "name": "x-api-key"},
            {"type": "apiKey", "in": "cookie", "name": COOKIE},
        ]


class AiError(serializers.Serializer[Any]):
    """Every error of this dialect. `errors`: which input was not valid, and why."""

    error = serializers.CharField()
    message = serializers.CharField()
    code = serializers.CharField()
    requestId = serializers.CharField()
    errors = serializers.JSONField(required=False)  # type: ignore[assignment]
    category = serializers.CharField(required=False)
    isRetryable = serializers.BooleanField(required=False)


class AiSchema(ApiSchema):
    """Every operation may answer an error."""

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        error = self._get_response_for_code(  # type: ignore[no-untyped-call]
            AiError, "default", ["application/json"], direction
        )
        return {**bodies, "default": error}
