"""Erasing again what came back: a database restored from an older backup, a bundle put back, an import.

Somebody has to ask for it. Holds may be younger than the backup, and the erasure of the wrong person is why it was
restored, perhaps: what cannot be undone is not begun by a worker.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from chat_sessions.models import ChatSession
from threadhub import audit
from threadhub.lib import ids, keyed
from threadhub.workspaces import actor as actors
from threadhub.workspaces.end_users import NOBODY
from threadhub.workspaces.memberships import LastOwner
from threadhub.workspaces.models import ApiKey, EndUser, Membership, User
from threads.lifecycle.bundles import adoption
from threads.lifecycle.erasure import erasures, inventory, ledger, people
from threads.lifecycle.erasure.ledger import Entry
from threads.lifecycle.erasure.people import Person, known_as
from threads.models import Erasure, Thread


def find(*, workspace_id: UUID) -> list[tuple[Entry, Person]]:
    """Of each entry of the ledger of which something is there again, whom it is about. Erasures under way are not."""
    confirmed = Erasure.objects.filter(workspace_id=workspace_id, confirmed_at__isnull=False)
    unfinished = set(confirmed.exclude(state=Erasure.State.DONE).values_list("pk", flat=True))
    found = []
    for entry in ledger.entries(workspace_id=workspace_id):
        if entry.erasure_id in unfinished:
            continue
        person = _person(workspace_id, entry)
        if not inventory.take(workspace_id=workspace_id, person=person).empty:
            found.append((entry, person))
    return found


def unrecognisable(*, workspace_id: UUID) -> int:
    """Of how many entries the SECRET_KEY is gone: nobody would notice if those people were there again."""
    return sum(not _readable(each) for each in ledger.entries(workspace_id=workspace_id))


def begin(*, workspace_id: UUID, now: datetime) -> tuple[list[Erasure], list[str]]:
    """Confirm the erasures that have to be done again, as the system; `proceed` does them. Threads on hold block them
    as they block any. Before that, what an older catalogue lost of others is found again. Also returns sentences about
    those that were not begun, since nobody would own the workspace after them."""
    adoption.adopt(workspace_id=workspace_id, now=now)
    begun, refused = [], []
    for entry, person in find(workspace_id=workspace_id):
        try:
            begun.append(_begin(workspace_id, entry, person, now))
        except LastOwner as error:
            refused.append(f"{ids.encode(Erasure.PREFIX, entry.erasure_id)}: {error.message}")
    return begun, refused


def _readable(entry: Entry) -> bool:
    return not entry.key or keyed.is_known(entry.key)


@transaction.atomic
def _begin(workspace_id: UUID, entry: Entry, person: Person, now: datetime) -> Erasure:
    system = actors.system(workspace_id)
    erasures.keep_an_owner(system, person)
    # A row that was planned in the backup becomes the confirmed one; one that is done is done once more, beside it.
    known = Erasure.objects.select_for_update().filter(pk=entry.erasure_id, workspace_id=workspace_id).first()
    planned = known is not None and known.confirmed_at is None
    found = inventory.take(workspace_id=workspace_id, person=person)
    erasure = Erasure(
        workspace_id=workspace_id,
        subject=ledger.AGAIN,
        state=Erasure.State.RUNNING,
        person=person.seal(),
        digests=sorted(entry.digests),
        key=entry.key,
        plan=found.as_json(),
        plan_hash=found.hash,
        progress={"threads": sorted(str(each) for each in entry.threads)},
        requested_by=system.identity,
        confirmed_by=system.identity,
        confirmed_at=entry.at,  # what came after the erasure is a new acquaintance
        created_at=now,
    )
    if known is None or planned:
        erasure.pk = entry.erasure_id
    erasure.save(force_insert=not planned, force_update=planned)
    audit.record(actor=system, action="erasure.replay", ids=[erasure.wire_id], details=found.counts)
    return erasure


def run_all(*, workspace_id: UUID, now: datetime) -> list[Erasure]:
    """Begin and do all of it."""
    begun, _ = begin(workspace_id=workspace_id, now=now)
    return [erasures.proceed(workspace_id=workspace_id, erasure_id=each.pk) for each in begun]


def _person(workspace_id: UUID, entry: Entry) -> Person:
    """Everything that is known under the entry's hashes. A thread known by its id alone is found by it."""

    def is_meant(kind: str, value: str) -> bool:
        return not entry.digests.isdisjoint(known_as(workspace_id, kind, value))

    here: dict[str, Any] = {"workspace_id": workspace_id, "created_at__lte": entry.at}
    threads = Thread.objects.filter(**here).order_by()
    with_users: tuple[Any, ...] = (EndUser.objects.filter(**here), Membership.objects.filter(**here), threads)
    users = {
        user_id
        for rows in (*with_users, ChatSession.objects.filter(**here))
        for user_id in rows.order_by().values_list("user_id", flat=True).distinct().iterator()
        if user_id is not None and is_meant("user", str(user_id))
    }
    users |= {each for each in people.signed(workspace_id=workspace_id, until=entry.at) if is_meant("user", str(each))}
    sessions = [pk for pk in _ids(ChatSession.objects.filter(**here)) if is_meant("session", str(pk))]
    with_refs: tuple[Any, ...] = (threads.exclude(external_ref=None), ChatSession.objects.filter(**here).order_by())
    pairs: set[tuple[UUID | None, str]] = {
        pair for rows in with_refs for pair in rows.values_list("agent_id", "external_ref").distinct().iterator()
    }
    visitors: set[tuple[UUID | None, str]] = {(None, ref) for _, ref in pairs if is_meant("visitor", f"*:{ref}")} | {
        (agent, ref) for agent, ref in pairs if is_meant("visitor", f"{agent}:{ref}")
    }
    user_id = next(iter(users), None)
    user = User.objects.filter(pk=user_id).first() if user_id else None
    keys = ApiKey.objects.filter(workspace_id=workspace_id, user_id=user_id or NOBODY)
    names = [user.username, user.email] if user else []
    return Person(
        subject="user" if user_id else "external_ref",
        user_id=user_id,
        sessions=tuple(sessions),
        visitors=tuple(sorted(visitors, key=str)),
        keys=tuple(keys.exclude(kind=ApiKey.Kind.WORKSPACE).values_list("pk", flat=True)) if user_id else (),
        texts=tuple(dict.fromkeys(text for text in (*names, *(ref for _, ref in visitors)) if text)),
        serves=bool(user_id) and keys.filter(kind=ApiKey.Kind.WORKSPACE).exists(),
        until=entry.at,
        threads_by_id=tuple(sorted(entry.threads)),
    )


def _ids(rows: Any) -> list[UUID]:
    return list(rows.order_by("pk").values_list("pk", flat=True))
