"""`/holds`, `/holds/{hold_id}` and `/holds/{hold_id}/release`."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from chat_sessions.models import EXTERNAL_REF_CHARACTERS
from threadhub.agents.models import Agent
from threadhub.api.rest.inputs.strict import Strict, Text
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.api.rest.views.base import RestViewSet
from threadhub.api.views import path_id
from threadhub.lib import ids
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Permission
from threads.lifecycle import holds
from threads.models import Hold, Thread

TARGETS = {"thread": Thread.PREFIX, "agent": Agent.PREFIX, "user": User.PREFIX}


class NewHold(Strict):
    """`target_id` for the scopes thread, agent and user; `external_ref` for the scope of that name."""

    scope = serializers.ChoiceField(choices=Hold.Scope.values)
    target_id = Text(required=False, allow_null=True)
    external_ref = Text(required=False, allow_null=True, allow_blank=True, max_length=EXTERNAL_REF_CHARACTERS)
    reason = Text(max_length=holds.MAX_REASON)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields["target_id"] = read_target(fields["scope"], fields.get("target_id"))
        return fields


class Release(Strict):
    """Why it may go now; a hold is released without a reason too."""

    reason = Text(required=False, max_length=holds.MAX_REASON)


class HoldRepresentation(serializers.Serializer[Hold]):
    id = WireId(Hold.PREFIX)
    scope = serializers.ChoiceField(choices=Hold.Scope.values, read_only=True)
    target_id = serializers.SerializerMethodField()
    external_ref = serializers.CharField(read_only=True, allow_null=True)
    reason = serializers.CharField(read_only=True)
    in_force = serializers.BooleanField(read_only=True)
    placed_by = serializers.CharField(read_only=True)
    placed_at = moment()
    released_by = serializers.SerializerMethodField()
    released_at = moment(allow_null=True)
    release_reason = serializers.SerializerMethodField()
    created_at = moment()

    def get_target_id(self, hold: Hold) -> str | None:
        return write_target(hold.scope, hold.target_id)

    def get_released_by(self, hold: Hold) -> str | None:
        return hold.released_by or None

    def get_release_reason(self, hold: Hold) -> str | None:
        return hold.release_reason or None


class Holds(RestViewSet):
    """Legal holds of the workspace, released ones included."""

    permissions = {"GET": Permission.HOLD_READ, "POST": Permission.HOLD_WRITE}
    pagination_class = KeysetPagination

    def get_queryset(self) -> QuerySet[Hold]:
        return holds.visible(actor=self.actor)

    @extend_schema(responses={200: HoldRepresentation(many=True)})
    def list(self, request: Request) -> Response:
        return self.page(self.get_queryset(), HoldRepresentation)

    @extend_schema(request=NewHold, responses={201: HoldRepresentation})
    def create(self, request: Request) -> Response:
        hold = holds.place(actor=self.actor, now=self.now, **NewHold.parse(request))
        headers = {"Location": f"/holds/{hold.wire_id}"}
        return Response(HoldRepresentation(hold).data, status=201, headers=headers)

    @extend_schema(responses={200: HoldRepresentation})
    def retrieve(self, request: Request, hold_id: str) -> Response:
        return Response(HoldRepresentation(self._find(hold_id)).data)

    @extend_schema(request=Release, responses={200: HoldRepresentation})
    def release(self, request: Request, hold_id: str) -> Response:
        """From then on what it covered is as if it had never been held. The hold stays, as a record."""
        sent = Release.parse(request)
        hold = holds.release(actor=self.actor, hold=self._find(hold_id), now=self.now, **sent)
        return Response(HoldRepresentation(hold).data)

    def _find(self, hold_id: str) -> Hold:
        return holds.get(actor=self.actor, hold_id=path_id(Hold.PREFIX, hold_id, holds.HoldNotFound))


def read_target(scope: str, text: str | None) -> Any:
    """The id that `target_id` is, by its scope. Raises ValidationError."""
    if text is None:
        return None
    try:
        return ids.decode(TARGETS.get(scope, ""), text)
    except ids.InvalidId as error:
        raise serializers.ValidationError({"target_id": f"This is no id for the scope {scope}."}) from error


def write_target(scope: str, target_id: Any) -> str | None:
    return ids.encode(TARGETS[scope], target_id) if target_id is not None else None
