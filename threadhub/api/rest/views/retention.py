"""`/retention_policies` and below: how long threads live, and what happens then; `/retention_settings`."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.inputs.strict import Metadata, Strict, Text, Whole
from threadhub.api.rest.inputs.threads import NothingSent
from threadhub.api.rest.pagination import KeysetPagination
from threadhub.api.rest.representations.fields import WireId, moment
from threadhub.api.rest.views.base import RestViewSet
from threadhub.api.rest.views.holds import read_target, write_target
from threadhub.api.views import path_id
from threadhub.workspaces.permissions import Permission
from threads.lifecycle import policies, preferences
from threads.lifecycle.models.policy import MAX_DAYS
from threads.models import RetentionPolicy, RetentionSettings, Thread

SCOPES = RetentionPolicy.Scope.values
SCHEDULES = RetentionSettings.Schedule.values


class PolicyTerms(Strict):
    """The matchers narrow a policy: all that are given must fit a thread."""

    name = Text(required=False, allow_blank=True, max_length=200)
    scope = serializers.ChoiceField(choices=SCOPES, required=False)
    target_id = Text(required=False, allow_null=True, help_text="The agent's or the thread's, for those scopes.")
    action = serializers.ChoiceField(choices=RetentionPolicy.Action.values)
    counted_from = serializers.ChoiceField(choices=RetentionPolicy.CountedFrom.values, required=False)
    days = Whole(min_value=1, max_value=MAX_DAYS, help_text="Of 24 hours.")
    external_ref_prefix = Text(required=False, allow_null=True, max_length=512)
    metadata = Metadata(required=False, allow_null=True)
    origin = serializers.ChoiceField(choices=Thread.Origin.values, required=False, allow_null=True)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if "target_id" in fields:
            fields["target_id"] = read_target(fields.get("scope", self.context.get("scope", "")), fields["target_id"])
        return fields


class PolicyRepresentation(serializers.Serializer[RetentionPolicy]):
    id = WireId(RetentionPolicy.PREFIX)
    name = serializers.CharField(read_only=True)
    scope = serializers.ChoiceField(choices=SCOPES, read_only=True)
    target_id = serializers.SerializerMethodField()
    action = serializers.ChoiceField(choices=RetentionPolicy.Action.values, read_only=True)
    counted_from = serializers.ChoiceField(choices=RetentionPolicy.CountedFrom.values, read_only=True)
    days = serializers.IntegerField(read_only=True)
    external_ref_prefix = serializers.CharField(read_only=True, allow_null=True)
    metadata = serializers.DictField(read_only=True, allow_null=True)
    origin = serializers.CharField(read_only=True, allow_null=True)
    enabled = serializers.BooleanField(read_only=True)
    previewed_at = moment(allow_null=True)
    acts_from = moment(allow_null=True)
    created_at = moment()
    updated_at = moment()

    def get_target_id(self, policy: RetentionPolicy) -> str | None:
        return write_target(policy.scope, policy.target_id)


class PlanRepresentation(serializers.Serializer[Any]):
    """What a sweep would do now. `skipped` counts by reason what a policy is about and nothing happens to; `unreadable`
    are policies that this release cannot read: they do nothing."""

    workspace = serializers.CharField(read_only=True)
    cutoff = serializers.CharField(read_only=True)
    threads = serializers.IntegerField(read_only=True)
    due = serializers.IntegerField(read_only=True)
    actions = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    by_agent = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    by_policy = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    skipped = serializers.DictField(child=serializers.IntegerField(), read_only=True)
    unreadable = serializers.ListField(child=serializers.CharField(), read_only=True)
    messages = serializers.IntegerField(read_only=True)
    bytes = serializers.IntegerField(
        read_only=True, help_text="Messages' text and files; of archived threads their part of the bundle, packed."
    )
    oldest = serializers.CharField(read_only=True, allow_null=True)
    newest = serializers.CharField(read_only=True, allow_null=True)
    sample = serializers.ListField(child=serializers.CharField(), read_only=True)
    hash = serializers.CharField(read_only=True)


class RetentionPolicies(RestViewSet):
    """A policy is made disabled; it is enabled once its preview was looked at, and acts after a grace."""

    permissions = {
        "GET": Permission.RETENTION_READ,
        "POST": Permission.RETENTION_WRITE,
        "PATCH": Permission.RETENTION_WRITE,
        "DELETE": Permission.RETENTION_WRITE,
    }
    pagination_class = KeysetPagination

    def get_queryset(self) -> QuerySet[RetentionPolicy]:
        return policies.visible(actor=self.actor)

    @extend_schema(responses={200: PolicyRepresentation(many=True)})
    def list(self, request: Request) -> Response:
        return self.page(self.get_queryset(), PolicyRepresentation)

    @extend_schema(request=PolicyTerms, responses={201: PolicyRepresentation})
    def create(self, request: Request) -> Response:
        policy = policies.create(actor=self.actor, now=self.now, **PolicyTerms.parse(request))
        headers = {"Location": f"/retention_policies/{policy.wire_id}"}
        return Response(PolicyRepresentation(policy).data, status=201, headers=headers)

    @extend_schema(responses={200: PolicyRepresentation})
    def retrieve(self, request: Request, policy_id: str) -> Response:
        return Response(PolicyRepresentation(self._find(policy_id)).data)

    @extend_schema(request=PolicyTerms(partial=True), responses={200: PolicyRepresentation})
    def partial_update(self, request: Request, policy_id: str) -> Response:
        """Disables the policy: what was changed wants a new preview."""
        policy = self._find(policy_id)
        terms = PolicyTerms.parse(request, partial=True, context={"scope": policy.scope})
        return Response(
            PolicyRepresentation(policies.change(actor=self.actor, policy=policy, now=self.now, **terms)).data
        )

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, policy_id: str) -> Response:
        policies.delete(actor=self.actor, policy=self._find(policy_id), now=self.now)
        return Response(status=204)

    @extend_schema(request=NothingSent, responses={200: PlanRepresentation})
    def preview(self, request: Request, policy_id: str) -> Response:
        """What a sweep would do now with this policy in force, grace aside."""
        NothingSent.parse(request)
        return Response(policies.preview(actor=self.actor, policy=self._find(policy_id)).as_json())

    @extend_schema(request=NothingSent, responses={200: PolicyRepresentation})
    def enable(self, request: Request, policy_id: str) -> Response:
        NothingSent.parse(request)
        policy = policies.enable(actor=self.actor, policy=self._find(policy_id), now=self.now)
        return Response(PolicyRepresentation(policy).data)

    @extend_schema(request=NothingSent, responses={200: PolicyRepresentation})
    def disable(self, request: Request, policy_id: str) -> Response:
        """A policy that removes stops at once; one that retains goes on for the workspace's grace."""
        NothingSent.parse(request)
        policy = policies.disable(actor=self.actor, policy=self._find(policy_id), now=self.now)
        return Response(PolicyRepresentation(policy).data)

    def _find(self, policy_id: str) -> RetentionPolicy:
        found = path_id(RetentionPolicy.PREFIX, policy_id, policies.PolicyNotFound)
        return policies.get(actor=self.actor, policy_id=found)


class SettingsChange(Strict):
    """What is not sent stays."""

    schedule = serializers.ChoiceField(
        choices=SCHEDULES,
        required=False,
        help_text="When the worker sweeps. `weekly`: in the night to Monday. `by_hand`: never, also not the trash.",
    )
    time_zone = Text(required=False, max_length=64, help_text="IANA name; sweeps are in its night.")
    trash_days = Whole(required=False, min_value=0, max_value=3650, help_text="0: deleting is for ever.")
    daily_cap = Whole(required=False, allow_null=True, min_value=1, max_value=2**31 - 1)
    brake_percent = Whole(required=False, min_value=1, max_value=100)
    grace_hours = Whole(required=False, min_value=0, max_value=24 * 90)


class SettingsRepresentation(serializers.Serializer[Any]):
    schedule = serializers.ChoiceField(choices=SCHEDULES, read_only=True)
    time_zone = serializers.CharField(read_only=True)
    trash_days = serializers.IntegerField(read_only=True)
    daily_cap = serializers.IntegerField(read_only=True, allow_null=True)
    brake_percent = serializers.IntegerField(read_only=True)
    grace_hours = serializers.IntegerField(read_only=True)


class RetentionPreferences(RestViewSet):
    permissions = {"GET": Permission.RETENTION_READ, "PATCH": Permission.RETENTION_WRITE}

    @extend_schema(responses={200: SettingsRepresentation})
    def retrieve(self, request: Request) -> Response:
        return Response(SettingsRepresentation(preferences.get(actor=self.actor)).data)

    @extend_schema(request=SettingsChange, responses={200: SettingsRepresentation})
    def partial_update(self, request: Request) -> Response:
        changed = preferences.change(actor=self.actor, now=self.now, **SettingsChange.parse(request))
        return Response(SettingsRepresentation(changed).data)
