"""Giving events their places in the chain of their workspace.

Writers only insert. Whoever links takes the workspace's advisory lock and gives what is committed and stands in no
chain yet the next numbers, oldest first. A transaction that commits late is linked late: the chain's order is the
order of linking, the time of an event is its own.
"""

from uuid import UUID

from django.db import transaction

from threadhub.audit import chain, sql
from threadhub.audit.models import AuditEvent, AuditHead

BATCH = 1000


class NotLinked(Exception):
    """Somebody else linked events while the chain's lock was held, which cannot be."""


def link_all() -> int:
    """Link what waits, in every workspace; returns how many events."""
    return sum(link(workspace_id=workspace_id) for workspace_id in sql.workspaces_waiting())


def link(*, workspace_id: UUID) -> int:
    """Link what waits in one workspace, batch by batch; returns how many events."""
    total = 0
    while True:
        linked = _link_batch(workspace_id)
        total += linked
        if linked < BATCH:
            return total


@transaction.atomic
def _link_batch(workspace_id: UUID) -> int:
    sql.lock_chain(workspace_id)
    waiting = list(AuditEvent.objects.filter(workspace_id=workspace_id, seq=None).order_by("created_at", "id")[:BATCH])
    if not waiting:
        return 0
    head = AuditHead.objects.filter(workspace_id=workspace_id).first()
    start = head.seq if head else 0
    seqs = list(range(start + 1, start + 1 + len(waiting)))
    previous = [bytes(head.hash) if head else chain.BEGINNING]
    for event, seq in zip(waiting, seqs, strict=True):
        previous.append(chain.hash_of(event, seq=seq, previous=previous[-1]))
    hashes = previous[1:]
    ids = [event.id for event in waiting]
    linked = sql.link(workspace_id=workspace_id, ids=ids, seqs=seqs, previous=previous[:-1], hashes=hashes)
    if linked != len(waiting):
        raise NotLinked
    AuditHead.objects.update_or_create(workspace_id=workspace_id, defaults={"seq": seqs[-1], "hash": hashes[-1]})
    return linked
