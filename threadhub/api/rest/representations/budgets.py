from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from rest_framework import serializers

from threadhub.agents.budgets import Standing, end_of
from threadhub.agents.models import Budget
from threadhub.agents.usage import written
from threadhub.api.rest.representations.fields import moment


class PeriodRepresentation(serializers.Serializer[Any]):
    """Limits, what is used of them, and when the period ends."""

    tokens = serializers.IntegerField(read_only=True, allow_null=True)
    cost = serializers.CharField(read_only=True, allow_null=True)
    used_tokens = serializers.IntegerField(read_only=True)
    used_cost = serializers.CharField(read_only=True, allow_null=True)
    ends_at = moment()


class BudgetRepresentation(serializers.Serializer[Any]):
    currency = serializers.CharField(read_only=True, allow_null=True)
    day = PeriodRepresentation(read_only=True, allow_null=True)
    month = PeriodRepresentation(read_only=True, allow_null=True)


def budget(standings: Sequence[Standing], now: datetime) -> Any:
    """What BudgetRepresentation describes."""
    periods = {
        each.budget.period: {
            "tokens": each.budget.tokens,
            "cost": written(each.budget.cost),
            "used_tokens": each.tokens,
            "used_cost": written(each.cost),
            "ends_at": end_of(each.budget.period, now),
        }
        for each in standings
    }
    shown = {period.value: periods.get(period.value) for period in Budget.Period}
    return BudgetRepresentation({"currency": settings.PRICES.currency, **shown}).data
