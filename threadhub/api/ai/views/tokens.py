"""`/api/me/api-tokens`: a person's own API tokens. Never managed with an API token."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents import leaving
from threadhub.api.ai.inputs import accounts as inputs
from threadhub.api.ai.representations.accounts import ApiTokenObject, NewApiTokenObject
from threadhub.api.ai.views.viewset import AiViewSet
from threadhub.api.views import path_id
from threadhub.workspaces import personal_keys
from threadhub.workspaces.models import ApiKey
from threadhub.workspaces.personal_keys import KeyNotFound

REVOKED = inline_serializer("AiApiTokenRevoked", {"message": serializers.CharField()})


class ApiTokens(AiViewSet):
    across_own_workspaces = True
    permissions: ClassVar[dict[str, Any]] = {"GET": None, "POST": None, "DELETE": None}

    @extend_schema(operation_id="api_tokens_list", responses=ApiTokenObject(many=True))
    def list(self, request: Request) -> Response:
        """The tokens that still work, newest first; there are ten at most."""
        tokens: Any = personal_keys.visible(actor=self.actor, now=self.now)
        return Response(ApiTokenObject(tokens, many=True).data)

    @extend_schema(operation_id="api_tokens_create", request=inputs.NewApiToken, responses={201: NewApiTokenObject})
    def create(self, request: Request) -> Response:
        """A new token, which acts as the user until it expires. It is shown this once."""
        personal_keys.require_person(actor=self.actor)
        asked = inputs.NewApiToken(data=self.body, context={"now": self.now})
        asked.is_valid(raise_exception=True)
        key, secret = personal_keys.create(
            actor=self.actor,
            name=asked.validated_data["nickname"],
            expires_at=asked.validated_data["expiresAt"],
            workspace_id=inputs.workspace_id(asked.validated_data.get("workspace")),
            now=self.now,
        )
        return Response({"token": secret, "apiToken": ApiTokenObject(key).data}, status=201)

    @extend_schema(operation_id="api_tokens_delete", responses={200: REVOKED})
    def destroy(self, request: Request, token_id: str) -> Response:
        """The token stops working with the next request."""
        personal_keys.require_person(actor=self.actor)
        key_id = path_id(ApiKey.PREFIX, token_id, KeyNotFound)
        leaving.revoke_own_key(actor=self.actor, key_id=key_id, now=self.now)
        return Response({"message": "Token revoked"})
