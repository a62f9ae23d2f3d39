"""How a workspace's sweeps go: its schedule, time zone, trash, cap, brake and grace."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from threadhub import audit
from threadhub.lib.errors import Invalid
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads.lifecycle import rules
from threads.models import RetentionSettings

NAMES = frozenset({"schedule", "time_zone", "trash_days", "daily_cap", "brake_percent", "grace_hours"})


def get(*, actor: Actor) -> RetentionSettings:
    """The settings of the actor's workspace."""
    return rules.settings_of(actor.workspace_id)


@transaction.atomic
def change(*, actor: Actor, now: datetime, **values: Any) -> RetentionSettings:
    """Change some of them. Raises Invalid for a schedule or a time zone that there is not."""
    actor.require(Permission.RETENTION_WRITE)
    unknown = set(values) - NAMES
    if unknown:
        raise TypeError(f"no such setting: {', '.join(sorted(unknown))}")
    if "time_zone" in values:
        check_zone(values["time_zone"])
    written = {**values, "updated_at": now}
    if "schedule" in values:
        check_schedule(values["schedule"])
        if values["schedule"] != get(actor=actor).schedule:
            written["scheduled_since"] = now
    found, _ = RetentionSettings.objects.update_or_create(workspace_id=actor.workspace_id, defaults=written)
    audit.record(actor=actor, action="retention_settings.change", ids=[], details=values)
    return found


def check_schedule(name: str) -> None:
    """Raise Invalid for what is none of the schedules."""
    if name not in RetentionSettings.Schedule.values:
        known = ", ".join(RetentionSettings.Schedule.values)
        raise Invalid.at("body", "schedule", msg=f"This is none of the schedules: {known}.")


def check_zone(name: str) -> None:
    """Raise Invalid for what is no IANA name of a time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise Invalid.at("body", "time_zone", msg="This is not the IANA name of a time zone.") from error
