"""What an event's hash covers.

SHA-256 over JSON with sorted keys that holds all columns, the event's number in its chain and the hash before it. The
values that an erasure may mask (on whose behalf, address, user agent, and each value of details) stand in it as
digests, each with a salt of its own. So a value can go, with its salt, and leave its digest: the hash stays what it
was, and the digest of an address or an e-mail cannot be guessed back.
"""

import hashlib
import hmac
from datetime import UTC
from typing import Any

from threadhub.audit.models import AuditEvent
from threadhub.lib import json

VERSION = 1
BEGINNING = bytes(32)  # stands in the place of the hash before the first
DETAIL = "details."
COLUMNS = ("on_behalf_of", "address", "user_agent")


def personal(event: AuditEvent) -> dict[str, Any]:
    """The values that may be masked, by name, without those that are masked. A masked one that holds a value again is
    among them: it has no salt any more, so the hash betrays it."""
    columns = {name: getattr(event, name) for name in COLUMNS}
    values = {name: value for name, value in columns.items() if value is not None}
    gone = event.masked or {}
    for name, value in event.details.items():
        if value is not None or f"{DETAIL}{name}" not in gone:
            values[f"{DETAIL}{name}"] = value
    return values


def salt_of(event: AuditEvent, name: str) -> bytes:
    """The salt of one value. Empty where it has none, which no genuine event has."""
    if event.salt is not None:
        return hmac.digest(bytes(event.salt), name.encode(), "sha256")
    return bytes.fromhex((event.salts or {}).get(name, ""))


def digest(event: AuditEvent, name: str, value: Any) -> str:
    """What stands in the hash for a value, in hexadecimal."""
    return hmac.new(salt_of(event, name), json.dumps_sorted(value), "sha256").hexdigest()


def hash_of(event: AuditEvent, *, seq: int, previous: bytes) -> bytes:
    """The hash of an event at this place of its chain."""
    digests = {name: digest(event, name, value) for name, value in personal(event).items()}
    covered = {
        "version": VERSION,
        "id": str(event.id),
        "workspace": str(event.workspace_id),
        "seq": seq,
        "previous": previous.hex(),
        "at": event.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": event.actor,
        "action": event.action,
        "ids": event.ids,
        "face": event.face,
        "request_id": event.request_id,
        "details": sorted(event.details),
        "personal": {**(event.masked or {}), **digests},
    }
    return hashlib.sha256(json.dumps_sorted(covered)).digest()
