"""An erasure from its plan to its certificate.

    plan (changes nothing of the person's) → a code for exactly that list → confirm: the list is made again, and refused
    if it is another → ledger → threads, batch by batch → the person's part in threads of others → all other traces →
    looked for again → certificate

Every step is a transaction that finds nothing where it was done before: after a crash at any instant the next run goes
on, and `done` is only ever said of what was looked for and not found.
"""

import base64
import hmac
from collections import Counter
from datetime import datetime
from threading import Event
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from threadhub import audit
from threadhub.lib import ids, keyed
from threadhub.lib.errors import Conflict, Held, Invalid, NotFound
from threadhub.workspaces import actor as actors
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.memberships import LastOwner
from threadhub.workspaces.models import Membership
from threadhub.workspaces.permissions import ROLE_PERMISSIONS, Permission, Role
from threads import sql, tasks
from threads.lifecycle import candidates, holds, purge
from threads.lifecycle.erasure import desk, inventory, ledger, people, proof, shared, traces
from threads.lifecycle.erasure.inventory import Inventory
from threads.lifecycle.erasure.people import Kind, Person
from threads.models import Erasure, Run, Thread, Tombstone

BATCH = 200
PASSES = 5  # over everything, while the person still writes
CODE_LETTERS = 8


class ErasureNotFound(NotFound):
    """Erasure not found."""

    code = "erasure_not_found"


class ErasureChanged(Conflict):
    """Something of this person changed since the list was made, or the code is of another list; nothing was erased."""

    code = "erasure_changed"


class ErasureConfirmed(Conflict):
    """This erasure was confirmed already."""

    code = "erasure_confirmed"


class BlockedByHold(Held):
    """Threads of this person are on legal hold; nothing was erased."""

    code = "blocked_by_hold"


class CodeWrong(Invalid):
    """This is not the code of this list."""

    code = "erasure_code_wrong"


class NotThrough(Conflict):
    """The person is still writing; the erasure goes on with the next run."""

    code = "erasure_unfinished"


def visible(*, actor: Actor) -> QuerySet[Erasure]:
    """The workspace's erasures, newest first. Raises PermissionMissing."""
    actor.require(Permission.PERSON_ERASE)
    return Erasure.objects.filter(workspace_id=actor.workspace_id).order_by("-created_at", "-id")


def get(*, actor: Actor, erasure_id: UUID) -> Erasure:
    """An erasure of the workspace. Raises ErasureNotFound, PermissionMissing."""
    found = visible(actor=actor).filter(pk=erasure_id).first()
    if found is None:
        raise ErasureNotFound
    return found


def look(*, actor: Actor, kind: Kind, value: str | UUID) -> tuple[Person, Inventory]:
    """Whom a subject means and what there is of them; changes nothing. Raises PersonNotFound, PermissionMissing."""
    actor.require(Permission.PERSON_ERASE)
    person = people.find(workspace_id=actor.workspace_id, kind=kind, value=value)
    return person, inventory.take(workspace_id=actor.workspace_id, person=person)


def code_of(workspace_id: UUID, plan_hash: str) -> str:
    """What has to be typed for exactly this list: `ABCD-EFGH`."""
    return _spelled(keyed.digest("erasure code", f"{workspace_id}:{plan_hash}"))


@transaction.atomic
def plan(*, actor: Actor, kind: Kind, value: str | UUID, now: datetime) -> Erasure:
    """The list of what would go, kept with its hash. Raises PersonNotFound, PermissionMissing."""
    person, found = look(actor=actor, kind=kind, value=value)
    erasure = Erasure.objects.create(
        workspace_id=actor.workspace_id,
        subject=kind,
        person=person.seal(),
        digests=person.digests(actor.workspace_id),
        key=keyed.key_name(),
        plan=found.as_json(),
        plan_hash=found.hash,
        requested_by=actor.identity,
        created_at=now,
    )
    audit.record(actor=actor, action="erasure.plan", ids=[erasure.wire_id], details={"subject": kind})
    return erasure


@transaction.atomic
def confirm(*, actor: Actor, erasure: Erasure, code: str, now: datetime) -> Erasure:
    """Begin: from here on it will be done, whatever crashes. Raises CodeWrong, ErasureChanged, BlockedByHold,
    ErasureConfirmed, LastOwner, PermissionMissing."""
    actor.require(Permission.PERSON_ERASE)
    locked = Erasure.objects.select_for_update().get(pk=erasure.pk, workspace_id=actor.workspace_id)
    if locked.state != Erasure.State.PLANNED or locked.person is None:
        raise ErasureConfirmed
    if not _is_code(code, actor.workspace_id, locked.plan_hash):
        raise CodeWrong
    person = people.unseal(bytes(locked.person))
    holds.watch(actor.workspace_id)
    found = inventory.take(workspace_id=actor.workspace_id, person=person)
    if found.held:
        named = [ids.encode(Thread.PREFIX, each) for each in found.held[: inventory.SAMPLE]]
        raise BlockedByHold(f"{len(found.held)} threads of this person are on legal hold: {', '.join(named)}.")
    if found.hash != locked.plan_hash:
        raise ErasureChanged
    keep_an_owner(actor, person)
    locked.state, locked.confirmed_by, locked.confirmed_at = Erasure.State.RUNNING, actor.identity, now
    locked.save(update_fields=["state", "confirmed_by", "confirmed_at"])
    audit.record(actor=actor, action="erasure.confirm", ids=[locked.wire_id], details=found.counts)
    return locked


@transaction.atomic
def begin(*, actor: Actor, erasure: Erasure, code: str, now: datetime) -> Erasure:
    """Confirm, and have the worker do it. Raises what `confirm` raises."""
    confirmed = confirm(actor=actor, erasure=erasure, code=code, now=now)
    tasks.erase.configure(lock=f"threads.erase:{confirmed.pk}").defer(
        erasure_id=str(confirmed.pk), workspace_id=str(confirmed.workspace_id)
    )
    return confirmed


def proceed(*, workspace_id: UUID, erasure_id: UUID, stop: Event | None = None) -> Erasure:
    """Go on with a confirmed erasure until it is done, or `stop` is set: then after the batch in hand, unfinished.
    Raises BlockedByHold where a hold came meanwhile, NotThrough, Damaged. May be called again at any time, and by
    several at once: they wait for each other, step by step."""
    erasure = Erasure.objects.get(pk=erasure_id, workspace_id=workspace_id)
    if erasure.person is None or erasure.confirmed_at is None:
        return erasure
    person = people.unseal(bytes(erasure.person))
    Erasure.objects.filter(pk=erasure.pk, workspace_id=workspace_id, state=Erasure.State.BLOCKED).update(
        state=Erasure.State.RUNNING
    )
    ledger.write(erasure)
    for _ in range(PASSES):
        while not (stop and stop.is_set()) and _next_threads(erasure, person):
            pass
        if stop and stop.is_set():
            erasure.refresh_from_db()
            return erasure
        _shared(erasure, person)
        while _next_at_desk(erasure, person):
            pass
        _traces(erasure, person)
        if inventory.take(workspace_id=workspace_id, person=person).empty:
            return _finish(erasure, person)
    raise NotThrough


def unfinished() -> list[tuple[UUID, UUID]]:
    """(workspace, erasure) of those that crashed or were blocked."""
    rows = Erasure.objects.filter(state__in=(Erasure.State.RUNNING, Erasure.State.BLOCKED), confirmed_at__isnull=False)
    return list(rows.order_by("confirmed_at", "id").values_list("workspace_id", "pk"))


def _spelled(raw: bytes) -> str:
    letters = base64.b32encode(raw).decode()[:CODE_LETTERS]
    return f"{letters[:4]}-{letters[4:]}"


def _is_code(typed: str, workspace_id: UUID, plan_hash: str) -> bool:
    codes = map(_spelled, keyed.digests("erasure code", f"{workspace_id}:{plan_hash}"))
    return any(hmac.compare_digest(typed.strip().upper().encode(), code.encode()) for code in codes)


def keep_an_owner(actor: Actor, person: Person) -> None:
    """An owner is erased by owners only, as only they decide who is one, and whoever decides about members by their
    like; the last owner by nobody. Raises LastOwner, PermissionMissing."""
    members = Membership.objects.filter(workspace_id=actor.workspace_id)
    target = members.filter(user_id=person.user_id).first() if person.user_id else None
    if target is None:
        return
    if Permission.MEMBER_WRITE in ROLE_PERMISSIONS[Role(target.role)]:
        actor.require(Permission.MEMBER_WRITE)
    if target.role == Role.OWNER:
        actor.require(Permission.OWNER_WRITE)
        if not members.filter(role=Role.OWNER).exclude(pk=target.pk).exists():
            raise LastOwner


def _locked(erasure: Erasure) -> Erasure:
    return Erasure.objects.select_for_update().get(pk=erasure.pk, workspace_id=erasure.workspace_id)


def _add(erasure: Erasure, gone: dict[str, int], threads: list[UUID] | None = None) -> None:
    """Into the progress of a locked row."""
    before = erasure.progress.get("threads", [])
    counts = Counter({name: count for name, count in erasure.progress.items() if name != "threads"})
    counts.update(gone)
    erasure.progress = {**counts, "threads": [*before, *(str(each) for each in threads or [])]}
    erasure.save(update_fields=["progress"])


def _next_threads(erasure: Erasure, person: Person) -> int:
    """Destroy the next of the person's threads, whatever state they are in; returns how many."""
    workspace_id = erasure.workspace_id
    with transaction.atomic():
        row = _locked(erasure)
        rows = Thread.objects.select_for_update(of=("self",)).filter(person.threads, workspace_id=workspace_id)
        chosen = list(rows.order_by("pk").values_list("pk", "state")[:BATCH])
        if not chosen:
            return 0
        holds.watch(workspace_id)
        doomed = candidates.load(workspace_id=workspace_id, thread_ids=[pk for pk, _ in chosen])
        held = [each.facts.id for each in doomed if each.held]
        if not held:
            _destroy(row, doomed, {pk for pk, state in chosen if state == "temporary"})
    if held:
        _block(erasure)
        raise BlockedByHold("Threads of this person are on legal hold; what is left is erased once it is released.")
    return len(chosen)


def _destroy(row: Erasure, doomed: list[candidates.Candidate], temporary: set[UUID]) -> None:
    workspace_id = row.workspace_id
    every = [each.facts.id for each in doomed]
    for run_id in (
        Run.objects.filter(workspace_id=workspace_id, thread_id__in=every).live().values_list("pk", flat=True)
    ):
        sql.notify("run_events", str(run_id))
    kept = [each for each in doomed if each.facts.id not in temporary]
    now = candidates.database_now()
    removed = 0
    if kept:
        removed = purge.destroy(
            workspace_id=workspace_id, doomed=kept, reason=Tombstone.Reason.ERASURE, by=row.confirmed_by, now=now
        )
    if temporary:
        removed += purge.remove(workspace_id=workspace_id, thread_ids=sorted(temporary))
    gone = {"whole_threads": len(every), "messages": sum(each.message_count for each in doomed), "attachments": removed}
    _add(row, gone, every)
    audit.record(
        actor=actors.system(workspace_id),
        action="thread.purge",
        ids=[ids.encode(Thread.PREFIX, each) for each in every],
        details={"erasure": row.wire_id},
    )


def _shared(erasure: Erasure, person: Person) -> None:
    workspace_id = erasure.workspace_id
    found = inventory.take(workspace_id=workspace_id, person=person)
    for thread_id in sorted({*found.shared, *found.shared_archived}):
        try:
            with transaction.atomic():
                row = _locked(erasure)
                now = candidates.database_now()
                gone = shared.clean(workspace_id=workspace_id, thread_id=thread_id, person=person, now=now)
                _add(row, {f"{name}_elsewhere": count for name, count in gone.items()})
        except holds.ThreadHeld as error:
            _block(erasure)
            raise BlockedByHold("A thread in which this person wrote is on legal hold.") from error


def _next_at_desk(erasure: Erasure, person: Person) -> int:
    """Take them from their place at some threads of others; returns at how many."""
    with transaction.atomic():
        row = _locked(erasure)
        now = candidates.database_now()
        left = desk.leave(workspace_id=erasure.workspace_id, person=person, now=now, most=BATCH)
        if left:
            _add(row, {"assignments": left})
    return left


def _traces(erasure: Erasure, person: Person) -> None:
    with transaction.atomic():
        row = _locked(erasure)
        threads = [UUID(each) for each in row.progress.get("threads", [])]
        gone = traces.remove(
            workspace_id=erasure.workspace_id,
            person=person,
            threads=threads,
            reason=row.wire_id,
            now=candidates.database_now(),
        )
        _add(row, gone)
    removed = traces.files(workspace_id=erasure.workspace_id, threads=threads)
    if removed:
        with transaction.atomic():
            _add(_locked(erasure), {"leftover_files": removed})


def _finish(erasure: Erasure, person: Person) -> Erasure:
    """Nothing is left. The last trace is the account, then what the erasure itself knows."""
    account = traces.account(workspace_id=erasure.workspace_id, person=person, reason=erasure.wire_id)
    elsewhere = proof.mentions(workspace_id=erasure.workspace_id, texts=person.texts)
    with transaction.atomic():
        row = _locked(erasure)
        if row.state == Erasure.State.DONE:
            return row
        now = candidates.database_now()
        row.state, row.finished_at, row.person = Erasure.State.DONE, now, None
        proof.certify(row, account=account, elsewhere=elsewhere, texts=person.texts, now=now)
        row.save()
        details: dict[str, Any] = {"signature": row.signature}
        audit.record(
            actor=actors.system(erasure.workspace_id), action="erasure.done", ids=[row.wire_id], details=details
        )
        _forget_plans(row, person)
        ledger.write(row)
    return row


def _forget_plans(done: Erasure, person: Person) -> None:
    """Other lists of the same person are void, and no longer say whom they were about. Their digests may be of another
    SECRET_KEY, so they are asked themselves."""
    plans = Erasure.objects.filter(workspace_id=done.workspace_id, state=Erasure.State.PLANNED, person__isnull=False)
    own = set(person.digests(done.workspace_id))
    void = [each.pk for each in plans if own & set(_planned(each).digests(done.workspace_id))]
    plans.filter(pk__in=void).update(person=None)


def _planned(erasure: Erasure) -> Person:
    assert erasure.person is not None  # noqa: S101  by the filter
    return people.unseal(bytes(erasure.person))


def _block(erasure: Erasure) -> None:
    Erasure.objects.filter(pk=erasure.pk, workspace_id=erasure.workspace_id, state=Erasure.State.RUNNING).update(
        state=Erasure.State.BLOCKED
    )
