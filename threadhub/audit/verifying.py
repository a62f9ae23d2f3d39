"""Reading a chain again from its beginning, and naming what is not as it was written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from threadhub.audit import chain, linking, sql
from threadhub.audit.masking import MASKING
from threadhub.audit.models import AuditEvent, AuditHead

BATCH = 1000
LINKED_WITHIN = timedelta(minutes=1)  # a worker links every ten seconds
LOOKED_AROUND = 200  # places before and after at which a moved record is looked for

Kind = Literal["altered", "removed", "reordered", "replaced", "truncated", "unmarked", "no_head", "behind_head"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: in which workspace, at which place of its chain, with which record, in words."""

    kind: Kind
    workspace_id: UUID
    seq: int
    event_id: UUID | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain, as it was noted outside of the database."""

    seq: int
    hash: bytes


@dataclass(slots=True)
class Verified:
    """What was read of one chain."""

    workspace_id: UUID
    events: int = 0
    masked: int = 0
    late: int = 0  # events that nobody had linked within LINKED_WITHIN: until now, altering them was seen by nobody
    seq: int = 0
    hash: bytes = chain.BEGINNING


def workspaces() -> list[UUID]:
    """Every workspace that has a chain, or lost one, or has events that wait to be linked."""
    known = set(AuditHead.objects.values_list("workspace_id", flat=True))
    return sorted(known | {*sql.workspaces_chained(), *sql.workspaces_waiting()})


def verify(*, workspace_id: UUID, noted: Sequence[Head] = ()) -> Iterator[Fault | Verified]:
    """Each fault of a workspace's chain as it is found, and at last what was read. Holds one batch in memory.

    `noted`: ends of this chain that were kept outside of the database; what came before them must still lead there.
    What waits is linked first; what writers add meanwhile is left to the next time.
    """
    late = sql.waiting_since(workspace_id=workspace_id, longer_than=LINKED_WITHIN)
    linking.link(workspace_id=workspace_id)
    head = AuditHead.objects.filter(workspace_id=workspace_id).first()  # before the events: they only become more
    noted_at = {end.seq: end.hash for end in noted}
    read = Verified(workspace_id, late=late)
    for event in _in_order(workspace_id):
        yield from _faults_of(event, read)
        read.events += 1
        read.masked += event.masked is not None
        read.seq, read.hash = event.seq or 0, bytes(event.hash or b"")
        if noted_at.get(read.seq, read.hash) != read.hash:
            yield _fault("behind_head", event, "is not the record that was noted at this place")
    yield from _faults_of_end(read, head, noted)
    yield from _unmarked(workspace_id)
    yield read


def _in_order(workspace_id: UUID) -> Iterator[AuditEvent]:
    after = 0
    while True:
        rows = AuditEvent.objects.filter(workspace_id=workspace_id, seq__gt=after).order_by("seq")[:BATCH]
        batch = list(rows)
        yield from batch
        if len(batch) < BATCH:
            return
        after = batch[-1].seq or 0


def _faults_of(event: AuditEvent, read: Verified) -> Iterator[Fault]:
    seq = event.seq or 0
    if seq != read.seq + 1:
        missing = str(read.seq + 1) if seq == read.seq + 2 else f"{read.seq + 1} to {seq - 1}"
        sentence = f"Missing: the record at {missing}, before {event.wire_id}."
        yield Fault("removed", read.workspace_id, read.seq + 1, None, sentence)
    follows = bytes(event.previous or b"") == read.hash
    if _is_itself(event, seq):
        if not follows and seq == read.seq + 1:
            yield _fault("replaced", event, "does not follow the record before it: that one was put there later")
        return
    was = _place_before(event)
    if was is not None:
        yield _fault("reordered", event, f"was at {was} when it was written")
    else:
        yield _fault("altered", event, "is not as it was written")


def _is_itself(event: AuditEvent, seq: int) -> bool:
    return bytes(event.hash or b"") == chain.hash_of(event, seq=seq, previous=bytes(event.previous or b""))


def _place_before(event: AuditEvent) -> int | None:
    """The place for which the record's hash was made, where that is near."""
    here = event.seq or 0
    around = (place for step in range(1, LOOKED_AROUND + 1) for place in (here - step, here + step))
    return next((place for place in around if place > 0 and _is_itself(event, place)), None)


def _faults_of_end(read: Verified, head: AuditHead | None, noted: Sequence[Head]) -> Iterator[Fault]:
    if head is None and read.seq:
        sentence = "The end of the chain is not noted any more: somebody removed that."
        yield Fault("no_head", read.workspace_id, read.seq, None, sentence)
    last = max([end.seq for end in noted] + ([head.seq] if head is not None else [0]))
    if last > read.seq:
        sentence = f"Missing: the records at {read.seq + 1} to {last}, the end of the chain."
        yield Fault("truncated", read.workspace_id, read.seq + 1, None, sentence)
    if head is not None and head.seq == read.seq and bytes(head.hash) != read.hash:
        sentence = f"The record at {read.seq} is not the one that was the chain's end."
        yield Fault("behind_head", read.workspace_id, read.seq, None, sentence)


def _unmarked(workspace_id: UUID) -> Iterator[Fault]:
    """Events with masked values that no event of a masking names."""
    masked = AuditEvent.objects.filter(workspace_id=workspace_id, masked__isnull=False).order_by("created_at", "id")
    for event in masked.iterator(chunk_size=BATCH):
        told = AuditEvent.objects.filter(workspace_id=workspace_id, action=MASKING, ids__contains=[event.wire_id])
        if not told.exists():
            yield _fault("unmarked", event, "has masked values, and no event says by whom")


def _fault(kind: Kind, event: AuditEvent, words: str) -> Fault:
    sentence = f"{event.wire_id} at {event.seq} ({event.action} by {event.actor}) {words}."
    return Fault(kind, event.workspace_id, event.seq or 0, event.id, sentence)
