"""What the trail and the counters of access say of a person who is erased: values are masked, the chain stays whole."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from threadhub.audit import chain, masking
from threadhub.audit.models import AccessAddress, AccessAlert, AccessCount, AuditEvent
from threadhub.audit.recording import INSTALLATION, Who

AT_ONCE = 500
CONTAINED_FROM = 6  # characters: a shorter text must be the whole value to be meant


def mask_person(*, actor: Who, identities: Sequence[str], texts: Sequence[str], reason: str) -> int:
    """Mask where they came from and what names them, in events of the actor's workspace; returns of how many events.

    Of what they did: addresses, user agents and on whose behalf. Of everybody's events: details that name them.
    """
    by_names: defaultdict[frozenset[str], list[UUID]] = defaultdict(list)
    workspace_id = actor.workspace_id or INSTALLATION
    for event in AuditEvent.objects.filter(workspace_id=workspace_id).order_by("id").iterator(chunk_size=2000):
        own = event.actor in identities or event.on_behalf_of in identities
        names = {name for name, value in chain.personal(event).items() if _is_meant(name, value, own, texts)}
        if names:
            by_names[frozenset(names)].append(event.pk)
    masked = 0
    for wanted, events in sorted(by_names.items(), key=lambda each: sorted(each[0])):
        for start in range(0, len(events), AT_ONCE):
            chosen = events[start : start + AT_ONCE]
            masked += masking.mask(actor=actor, event_ids=chosen, names=sorted(wanted), reason=reason)
    return masked


def forget_access(*, workspace_id: UUID, identities: Sequence[str]) -> int:
    """Remove counts and addresses of these actors; their alerts stay without the address. Returns how many rows."""
    of_them: dict[str, Any] = {"workspace_id": workspace_id, "actor__in": list(identities)}
    removed = AccessCount.objects.filter(**of_them).delete()[0] + AccessAddress.objects.filter(**of_them).delete()[0]
    return removed + AccessAlert.objects.filter(**of_them, address__isnull=False).update(address=None)


def names(value: Any, texts: Sequence[str]) -> bool:
    """Whether a value, wherever in it, is or holds one of the texts."""
    if isinstance(value, str):
        return any(value == text or (len(text) >= CONTAINED_FROM and text in value) for text in texts)
    if isinstance(value, dict):
        return any(names(each, texts) for pair in value.items() for each in pair)
    if isinstance(value, list):
        return any(names(each, texts) for each in value)
    return False


def _is_meant(name: str, value: Any, own: bool, texts: Sequence[str]) -> bool:
    if value is None:
        return False
    return (own and name in chain.COLUMNS) or names(value, texts)
