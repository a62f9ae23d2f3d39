"""Staff who read what somebody else wrote: that stands in the audit trail, whichever way they read it.

Staff are people who see more than their own threads, signed in or by a key that acts as them. Keys of a workspace are
servers: they read all day long for the people whose threads these are, and are watched by count instead.
"""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from threadhub import audit
from threadhub.lib import ids
from threadhub.workspaces.actor import Actor
from threads import access
from threads.models import Thread
from threads.thread_rows import ThreadRow

ONCE_IN = timedelta(hours=1)  # one who goes on reading a thread leaves one event, not one for each page


def note(*, actor: Actor, threads: Iterable[Thread | ThreadRow]) -> None:
    """`actor` is shown messages of these threads: an event names those that are not their own."""
    if _is_staff(actor):
        _record(actor, [thread.pk for thread in threads if thread.user_id != _self(actor)])


def note_found(*, actor: Actor, thread_ids: Iterable[UUID]) -> None:
    """As `note`, where only the ids are known."""
    if _is_staff(actor):
        found = access.visible(actor=actor).filter(pk__in=set(thread_ids)).order_by()
        _record(actor, [pk for pk, user_id in found.values_list("pk", "user_id") if user_id != _self(actor)])


def note_by_staff(*, user_id: UUID | None, threads: Iterable[Thread]) -> None:
    """A member of staff is shown parts of these threads in the console, be they of several workspaces."""
    by_workspace: dict[UUID, list[UUID]] = {}
    for thread in threads:
        if thread.user_id != user_id:
            by_workspace.setdefault(thread.workspace_id, []).append(thread.pk)
    events: list[tuple[audit.Who, list[str]]] = [
        (audit.By(f"user:{user_id}", workspace_id), [ids.encode(Thread.PREFIX, pk) for pk in sorted(set(found))])
        for workspace_id, found in by_workspace.items()
    ]
    audit.record_each_once(events=events, action="thread.read", within=ONCE_IN)


def _is_staff(actor: Actor) -> bool:
    return actor.kind == "user" or actor.personal_key


def _self(actor: Actor) -> UUID | None:
    return actor.own_user_id or actor.user_id


def _record(actor: audit.Who, thread_ids: list[UUID]) -> None:
    if thread_ids:
        named = [ids.encode(Thread.PREFIX, pk) for pk in thread_ids]
        audit.record_once(actor=actor, action="thread.read", ids=named, within=ONCE_IN)
