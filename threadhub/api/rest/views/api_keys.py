"""`/api_keys`: the keys of the workspace."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.agents import access as agents
from threadhub.agents import leaving
from threadhub.agents.access import AgentNotFound
from threadhub.agents.models import Agent
from threadhub.api.rest.inputs.access import KeyChange, NewKey, Rotation
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.access import KeyRepresentation, KeyWithSecret
from threadhub.api.rest.views.base import RestViewSet
from threadhub.api.views import path_id
from threadhub.workspaces import managed_keys
from threadhub.workspaces.models import ApiKey
from threadhub.workspaces.permissions import Permission


class ApiKeys(RestViewSet):
    permissions = {
        "GET": Permission.KEY_READ,
        "POST": Permission.KEY_WRITE,
        "PATCH": Permission.KEY_WRITE,
        "DELETE": Permission.KEY_WRITE,
    }
    pagination_class = KeysetPagination

    def get_queryset(self) -> QuerySet[ApiKey]:
        return managed_keys.visible(actor=self.actor)

    @extend_schema(responses={200: KeyRepresentation(many=True)})
    def list(self, request: Request) -> Response:
        """All of them, revoked and personal ones included."""
        return self.page(self.get_queryset(), KeyRepresentation, now=self.now)

    @extend_schema(request=NewKey, responses={201: KeyWithSecret})
    def create(self, request: Request) -> Response:
        body = NewKey.parse(request)
        agent = body.pop("agent_id", None)
        if agent is not None:
            agent_id = path_id(Agent.PREFIX, agent, AgentNotFound)
            body["agent_id"] = agents.get(actor=self.actor, agent_id=agent_id).id
        return self._with_secret(*managed_keys.create(actor=self.actor, now=self.now, **body), status=201)

    @extend_schema(responses={200: KeyRepresentation})
    def retrieve(self, request: Request, key_id: str) -> Response:
        return self._shown(self._find())

    @extend_schema(request=KeyChange(partial=True), responses={200: KeyRepresentation})
    def partial_update(self, request: Request, key_id: str) -> Response:
        """Name, scopes and expiry; what a key is bound to stays."""
        fields = KeyChange.parse(request, partial=True)
        return self._shown(managed_keys.change(actor=self.actor, key=self._find(), now=self.now, **fields))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, key_id: str) -> Response:
        """The key is revoked: it is refused from the next request on."""
        leaving.revoke_key(actor=self.actor, key=self._find(), now=self.now)
        return Response(status=204)

    @extend_schema(request=Rotation, responses={200: KeyWithSecret})
    def rotate(self, request: Request, key_id: str) -> Response:
        """A new secret for the same key. The one before works until the overlap has passed."""
        overlap = Rotation.parse(request)["overlap_seconds"]
        rotated = managed_keys.rotate(actor=self.actor, key=self._find(), overlap=overlap, now=self.now)
        return self._with_secret(*rotated, status=200)

    def _find(self) -> ApiKey:
        key_id = path_id(ApiKey.PREFIX, self.kwargs["key_id"], managed_keys.KeyNotFound)
        return managed_keys.get(actor=self.actor, key_id=key_id)

    def _shown(self, key: ApiKey) -> Response:
        return Response(KeyRepresentation(key, context={"now": self.now}).data)

    def _with_secret(self, key: ApiKey, secret: str, status: int) -> Response:
        shown = {**KeyRepresentation(key, context={"now": self.now}).data, "secret": secret}
        headers = {"Location": f"/api_keys/{key.wire_id}", "Cache-Control": "no-store"}
        return Response(shown, status=status, headers=headers)
