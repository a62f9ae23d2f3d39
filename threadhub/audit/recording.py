"""Writing an audit event: one INSERT in the caller's transaction, so there is no write without its event, and no event
of a write that was rolled back. It waits for nobody: the chain is made later (linking.py)."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from threadhub.audit import sql
from threadhub.audit.origins import origin
from threadhub.lib import ids as wire
from threadhub.lib import json

SHOWN_CHARACTERS = 200  # of a text in details, and of what a client calls itself
SALT_BYTES = 16
# Events of the installation itself stand under this in the place of a workspace: a key has no NULL.
INSTALLATION = UUID(int=0)


class Who(Protocol):
    """Who acts: `user:…`, `key:…`, `session:…`, `system`, and in which workspace; None: in none. A workspace's Actor
    is one."""

    @property
    def identity(self) -> str: ...

    @property
    def on_behalf_of(self) -> str | None: ...

    @property
    def workspace_id(self) -> UUID | None: ...


@dataclass(frozen=True, slots=True)
class By:
    """Somebody who is no Actor (yet): one who tries to sign in, a superuser, the installation."""

    identity: str
    workspace_id: UUID | None = None
    on_behalf_of: str | None = None


def record(*, actor: Who, action: str, ids: Sequence[str], details: Mapping[str, Any] | None = None) -> None:
    """Keep for ever that `actor` did `action` ("noun.verb") to the things of these wire ids.

    `details` is small JSON without content and without secrets; long texts in it are cut to 200 characters. Its
    top-level values are what an erasure may mask, so personal data stands there and nowhere else.
    """
    sql.insert(audit_details=_told(details), **values(actor=actor, action=action, ids=ids))


def record_all(*, actor: Who, action: str, events: Sequence[tuple[Sequence[str], Mapping[str, Any] | None]]) -> None:
    """As `record`, several events of one action, each with its ids and details, sent together."""
    if events:
        told = [(values(actor=actor, action=action, ids=ids), _told(details)) for ids, details in events]
        sql.insert_each([{"audit_details": details, **each} for each, details in told])


def values(*, actor: Who, action: str, ids: Sequence[str]) -> dict[str, Any]:
    """What `record` stores beside the details, for statements that record on their own (`part`). Their details are
    small JSON that PostgreSQL makes, and hold no text that somebody sent."""
    where = origin.get()
    return {
        "audit_id": wire.new(),
        "audit_workspace": actor.workspace_id or INSTALLATION,
        "audit_actor": actor.identity,
        "audit_on_behalf_of": actor.on_behalf_of,
        "audit_action": action,
        "audit_ids": list(ids),
        "audit_face": where.face,
        "audit_address": where.address or None,
        "audit_user_agent": _shortened(where.user_agent) or None,
        "audit_request": where.request_id,
        "audit_salt": secrets.token_bytes(SALT_BYTES),
    }


def record_once(*, actor: Who, action: str, ids: Sequence[str], within: timedelta) -> None:
    """As `record`, but only for those ids for which the same actor left no such event within that time. Of two requests
    at once both may leave one."""
    record_each_once(events=[(actor, ids)], action=action, within=within)


def was_told(*, actor: Who, action: str, ids: Sequence[str], within: timedelta) -> bool:
    """Whether the same actor left such an event about each of these within that time; not always the same event."""
    workspaces = [actor.workspace_id or INSTALLATION]
    told = sql.told(workspace_ids=workspaces, actor=actor.identity, action=action, ids=ids, within=within)
    return told.issuperset(ids)


def record_each_once(*, events: Sequence[tuple[Who, Sequence[str]]], action: str, within: timedelta) -> None:
    """As `record_once`, of one actor in several workspaces: one look-up for them all, and their events together."""
    if not events:
        return
    told = sql.told(
        workspace_ids=[actor.workspace_id or INSTALLATION for actor, _ in events],
        actor=events[0][0].identity,
        action=action,
        ids=[each for _, ids in events for each in ids],
        within=within,
    )
    news = [(actor, [each for each in ids if each not in told]) for actor, ids in events]
    rows = [{"audit_details": _told(None), **values(actor=actor, action=action, ids=new)} for actor, new in news if new]
    if rows:
        sql.insert_each(rows)


def _told(details: Mapping[str, Any] | None) -> str:
    return json.dumps({name: _shortened(value) for name, value in (details or {}).items()}).decode()


def _shortened(value: Any) -> Any:
    return value[:SHOWN_CHARACTERS] if isinstance(value, str) else value
