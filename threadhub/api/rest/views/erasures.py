"""`/erasures`, `/erasures/{erasure_id}` and `/erasures/{erasure_id}/confirm`."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from chat_sessions.models import EXTERNAL_REF_CHARACTERS, ChatSession
from threadhub.api.rest.inputs.strict import Strict, Text
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.api.rest.views.base import RestViewSet
from threadhub.api.views import path_id
from threadhub.lib import ids
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Permission
from threads.lifecycle.erasure import erasures, people
from threads.models import Erasure

PREFIXES = {"user": User.PREFIX, "session": ChatSession.PREFIX}


class NewErasure(Strict):
    """`value`: an id for the subjects user and session, the client's own text for end_user and external_ref."""

    subject = serializers.ChoiceField(choices=people.KINDS)
    value = Text(max_length=EXTERNAL_REF_CHARACTERS)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        prefix = PREFIXES.get(fields["subject"])
        value: str | UUID = fields["value"]
        if prefix is not None:
            try:
                value = ids.decode(prefix, fields["value"])
            except ids.InvalidId as error:
                raise serializers.ValidationError({"value": f"This is no id of a {prefix}."}) from error
        return {"kind": fields["subject"], "value": value}


class Confirmation(Strict):
    code = Text(max_length=32)


class ErasureRepresentation(serializers.Serializer[Erasure]):
    """`plan` is what there was when it was listed; `code` confirms exactly that list, while it is only planned."""

    id = WireId(Erasure.PREFIX)
    subject = serializers.CharField(read_only=True)
    state = serializers.ChoiceField(choices=Erasure.State.values, read_only=True)
    plan = serializers.JSONField(read_only=True)
    code = serializers.SerializerMethodField()
    requested_by = serializers.CharField(read_only=True)
    confirmed_by = serializers.SerializerMethodField()
    confirmed_at = moment(allow_null=True)
    finished_at = moment(allow_null=True)
    certificate = serializers.JSONField(read_only=True, allow_null=True)
    signature = serializers.SerializerMethodField(help_text="HMAC-SHA-256 over the certificate.")
    created_at = moment()

    def get_code(self, erasure: Erasure) -> str | None:
        planned = erasure.state == Erasure.State.PLANNED
        return erasures.code_of(erasure.workspace_id, erasure.plan_hash) if planned else None

    def get_confirmed_by(self, erasure: Erasure) -> str | None:
        return erasure.confirmed_by or None

    def get_signature(self, erasure: Erasure) -> str | None:
        return erasure.signature or None


class Erasures(RestViewSet):
    """Owners only: a person is listed, confirmed by the list's code, erased by a worker, and certified."""

    permissions = {"GET": Permission.PERSON_ERASE, "POST": Permission.PERSON_ERASE}
    pagination_class = KeysetPagination

    def get_queryset(self) -> QuerySet[Erasure]:
        return erasures.visible(actor=self.actor)

    @extend_schema(responses={200: ErasureRepresentation(many=True)})
    def list(self, request: Request) -> Response:
        return self.page(self.get_queryset(), ErasureRepresentation)

    @extend_schema(request=NewErasure, responses={201: ErasureRepresentation})
    def create(self, request: Request) -> Response:
        """A dry run: lists what there is of the person, and changes nothing of it."""
        erasure = erasures.plan(actor=self.actor, now=self.now, **NewErasure.parse(request))
        headers = {"Location": f"/erasures/{erasure.wire_id}"}
        return Response(ErasureRepresentation(erasure).data, status=201, headers=headers)

    @extend_schema(responses={200: ErasureRepresentation})
    def retrieve(self, request: Request, erasure_id: str) -> Response:
        """Once it is done, with its certificate."""
        return Response(ErasureRepresentation(self._find(erasure_id)).data)

    @extend_schema(request=Confirmation, responses={202: ErasureRepresentation})
    def confirm(self, request: Request, erasure_id: str) -> Response:
        """Refused where anything of the person changed since the list was made."""
        code = Confirmation.parse(request)["code"]
        erasure = erasures.begin(actor=self.actor, erasure=self._find(erasure_id), code=code, now=self.now)
        return Response(ErasureRepresentation(erasure).data, status=202)

    def _find(self, erasure_id: str) -> Erasure:
        found = path_id(Erasure.PREFIX, erasure_id, erasures.ErasureNotFound)
        return erasures.get(actor=self.actor, erasure_id=found)
