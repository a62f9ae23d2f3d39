"""Taking personal values out of the trail, for erasures. The only change that an event of a chain can undergo."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from threadhub.audit import chain
from threadhub.audit.models import AuditEvent
from threadhub.audit.recording import INSTALLATION, Who, record

MASKING = "audit_event.mask"
NAMED_AT_ONCE = 500  # events that one event of the masking names


@transaction.atomic
def mask(*, actor: Who, event_ids: Sequence[UUID], names: Iterable[str], reason: str) -> int:
    """Take values out of events of the actor's workspace; returns of how many events.

    `names`: "on_behalf_of", "address", "user_agent", "details.<name>". Each value leaves its salted digest, and loses
    its salt, so the chain stays whole and the value cannot be guessed back. That it happened is an event itself.
    """
    wanted = set(names)
    workspace_id = actor.workspace_id or INSTALLATION
    rows = AuditEvent.objects.select_for_update().filter(workspace_id=workspace_id, id__in=event_ids)
    changed = [event for event in rows.order_by("id") if _mask(event, wanted)]
    for start in range(0, len(changed), NAMED_AT_ONCE):
        named = [event.wire_id for event in changed[start : start + NAMED_AT_ONCE]]
        record(actor=actor, action=MASKING, ids=named, details={"names": sorted(wanted), "reason": reason})
    return len(changed)


def _mask(event: AuditEvent, wanted: set[str]) -> bool:
    values = chain.personal(event)
    gone = {name: value for name, value in values.items() if name in wanted and value is not None}
    if not gone:
        return False
    kept = {name: chain.salt_of(event, name).hex() for name in values if name not in gone}
    masked = {name: chain.digest(event, name, value) for name, value in gone.items()}
    columns: dict[str, Any] = {name: None for name in gone if name in chain.COLUMNS}
    details = {name: None if f"{chain.DETAIL}{name}" in gone else value for name, value in event.details.items()}
    AuditEvent.objects.filter(pk=event.pk, workspace_id=event.workspace_id).update(
        **columns, details=details, masked={**(event.masked or {}), **masked}, salts=kept, salt=None
    )
    return True
