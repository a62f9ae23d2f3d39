"""What OpenAPI says of every operation of this dialect, beside what its view declares."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from threadhub.api import idempotency
from threadhub.api.schema import ApiSchema

# Visible ASCII; spaces at its ends belong to the header line.
VISIBLE = "^[!-~]([ -~]*[!-~])?$"


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A key or a token, in either header."""

    target_class = "threadhub.api.authentication.TokenAuthentication"
    name = ["bearer", "apiKey"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        return [{"bearer": []}, {"apiKey": []}]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, Any]]:
        return [{"type": "http", "scheme": "bearer"}, {"type": "apiKey", "in": "header", "name": "x-api-key"}]


class Fault(serializers.Serializer[Any]):
    loc = serializers.ListField()
    msg = serializers.CharField()
    type = serializers.CharField()


class ProblemDetails(serializers.Serializer[Any]):
    """RFC 9457. A run that failed adds its `run_id` and `thread_id`."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    request_id = serializers.CharField()
    errors = Fault(many=True, required=False)  # type: ignore[assignment]
    run_id = serializers.CharField(required=False)
    thread_id = serializers.CharField(required=False)


class RestSchema(ApiSchema):
    """Every operation may answer a problem; every POST takes an Idempotency-Key."""

    def get_override_parameters(self) -> list[Any]:
        if self.method != "POST":
            return []
        return [
            OpenApiParameter(
                idempotency.HEADER,
                {"type": "string", "minLength": 1, "maxLength": idempotency.MAX_LENGTH, "pattern": VISIBLE},
                OpenApiParameter.HEADER,
                description="However often it is sent, one effect and the same answer, for 24 hours.",
            )
        ]

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        problem = self._get_response_for_code(  # type: ignore[no-untyped-call]
            ProblemDetails, "default", ["application/problem+json"], direction
        )
        bodies["default"] = problem
        return bodies
