"""Tokens and money. Amounts of money are decimals as text, exact; the currency is the installation's."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.fields import SkipField

from threadhub.agents.models import Agent, DailyUsage
from threadhub.agents.usage import written
from threadhub.api.rest.representations.fields import WireId


class UsageRepresentation(serializers.Serializer[Any]):
    input_tokens = serializers.IntegerField(read_only=True)
    output_tokens = serializers.IntegerField(read_only=True)
    cached_tokens = serializers.IntegerField(
        read_only=True, allow_null=True, help_text="The part of the input that came from the service's cache."
    )
    cost = serializers.CharField(
        read_only=True, allow_null=True, help_text="Null where it is not known, and for visitors."
    )
    estimated = serializers.BooleanField(
        read_only=True,
        help_text="Its service did not count a call of its model: ours is an estimate.",
    )


class UsageSums(serializers.Serializer[Any]):
    count = serializers.IntegerField(read_only=True, help_text="Runs, summaries, titles or trials.")
    input_tokens = serializers.IntegerField(read_only=True)
    output_tokens = serializers.IntegerField(read_only=True)
    cached_tokens = serializers.IntegerField(read_only=True, help_text="A part of the input.")
    total_tokens = serializers.IntegerField(read_only=True)
    cost = serializers.CharField(
        read_only=True, allow_null=True, help_text="Of what has a price; null where nothing had."
    )
    unpriced_calls = serializers.IntegerField(
        read_only=True, help_text="Calls of a model without a price: their cost is not in `cost`."
    )
    estimated_calls = serializers.IntegerField(
        read_only=True, help_text="Calls of a model that its service did not count: their tokens are an estimate."
    )


class GroupedId(WireId):
    """An id that may be null, and is left out of rows that are not grouped by it."""

    def get_attribute(self, instance: Mapping[str, Any]) -> Any:
        if self.source not in instance:
            raise SkipField
        return super().get_attribute(instance)


class UsageRow(UsageSums):
    """What it is grouped by is there, the rest of these is not."""

    day = serializers.CharField(read_only=True, required=False)
    agent_id = GroupedId(
        Agent.PREFIX, required=False, allow_null=True, help_text="Null: trials of agents that were not saved."
    )
    provider = serializers.CharField(read_only=True, required=False)
    model = serializers.CharField(read_only=True, required=False)
    purpose = serializers.ChoiceField(choices=DailyUsage.Purpose.values, read_only=True, required=False)


@extend_schema_serializer(many=False)
class UsageReport(serializers.Serializer[Any]):
    currency = serializers.CharField(read_only=True, allow_null=True)
    date_from = serializers.CharField(read_only=True)
    date_to = serializers.CharField(read_only=True)
    total = UsageSums(read_only=True)
    rows = UsageRow(many=True, read_only=True)


def counted(sums: Mapping[str, Any]) -> dict[str, Any]:
    """Sums of a usage report as UsageRow describes them."""
    told = {name: value for name, value in sums.items() if name not in ("unpriced", "estimated")}
    if "day" in told:
        told["day"] = told["day"].isoformat()
    return told | {
        "total_tokens": sums["input_tokens"] + sums["output_tokens"],
        "cost": written(sums["cost"]),
        "unpriced_calls": sums["unpriced"],
        "estimated_calls": sums["estimated"],
    }


def as_shown(usage: Mapping[str, Any] | None, context: Mapping[str, Any]) -> dict[str, Any] | None:
    """Usage for the reader of a path: under a chat session's, what it cost is not told."""
    if usage is None:
        return None
    hidden = context.get("threads_path", "").startswith("/chat_sessions/")
    told = {"estimated": False, **usage}
    return {**told, "cost": None} if hidden else told
