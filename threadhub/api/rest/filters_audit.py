"""Filters of the audit trail and of access alerts."""

from typing import Any

import django_filters

from threadhub.api.rest import dates
from threadhub.api.rest.filters import Chained, InOrder, one_of
from threadhub.api.rest.representations.audit import identity_of
from threadhub.audit.models import AccessAlert


def _until(rows: Any, last: dates.End) -> Any:
    return rows.filter(**{"created_at__lte" if last.inclusive else "created_at__lt": last.moment})


DATE_FROM = {"description": "Then or later: a date (UTC) or an ISO 8601 time.", "example": "2024-01-01"}
DATE_TO = {"description": "Then or earlier; a date includes that whole day (UTC).", "example": "2024-01-31"}


class AuditEventFilter(django_filters.FilterSet):  # type: ignore[misc]
    actor = Chained(
        identity_of,
        lambda events, value: events.filter(actor=value),
        description="By whom: the id of a user, key or chat session, or `system`.",
    )
    action = Chained(
        str,
        lambda events, value: events.filter(action=value),
        description="What was done.",
        example="thread.delete",
    )
    id = Chained(str, lambda events, value: events.filter(ids__contains=[value]), description="To what: any id.")
    date_from = Chained(dates.start, lambda events, value: events.filter(created_at__gte=value), **DATE_FROM)
    date_to = Chained(dates.end, _until, **DATE_TO)

    class Meta:
        form = InOrder


class AccessAlertFilter(django_filters.FilterSet):  # type: ignore[misc]
    actor = Chained(identity_of, lambda alerts, value: alerts.filter(actor=value), description="Whose access it was.")
    kind = Chained(
        one_of(*AccessAlert.Kind.values),
        lambda alerts, value: alerts.filter(kind=value),
        description="What was unusual.",
        enum=list(AccessAlert.Kind.values),
    )
    date_from = Chained(dates.start, lambda alerts, value: alerts.filter(created_at__gte=value), **DATE_FROM)
    date_to = Chained(dates.end, _until, **DATE_TO)

    class Meta:
        form = InOrder
