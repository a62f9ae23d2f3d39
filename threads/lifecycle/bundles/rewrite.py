"""Taking threads out of bundles for ever: what stays is written into a new bundle, the old file goes.

The old row stays in the catalogue, with the hash of its manifest, so that the chain can still be followed; it names the
bundle that it was `superseded_by`. The old file goes after the commit; a crash before that leaves it to
`collect_orphan_bundles`, which needs not wait for it to be a day old.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from threadhub.lib import ids
from threads.lifecycle.bundles import archive, vault
from threads.lifecycle.bundles.reader import ThreadReader
from threads.lifecycle.bundles.verify import Damaged
from threads.lifecycle.bundles.writer import Line
from threads.models import Bundle, BundledThread, Thread


def drop(*, workspace_id: UUID, thread_ids: Sequence[UUID], now: datetime) -> None:
    """Take these threads out of their bundles for ever. Inside the transaction that removes them, with their rows
    locked; the bundles' rows come after them, and no other thread's row is touched."""
    if not thread_ids:
        return
    going = BundledThread.objects.filter(workspace_id=workspace_id, thread_id__in=list(thread_ids))
    for bundle in _locked(workspace_id, going):
        going.filter(bundle_id=bundle.pk).delete()
        staying = list(BundledThread.objects.filter(workspace_id=workspace_id, bundle_id=bundle.pk))
        successor = _moved(bundle, staying, now) if staying else None
        Bundle.objects.filter(pk=bundle.pk, workspace_id=workspace_id).update(
            removed_at=now, superseded_by=successor.pk if successor else None
        )
        path = bundle.path
        transaction.on_commit(lambda path=path: vault.remove(path))  # type: ignore[misc]


def lock(*, workspace_id: UUID, thread_ids: Sequence[UUID]) -> None:
    """Nobody rewrites the bundles of these threads, whose rows are locked, until the transaction ends."""
    _locked(workspace_id, BundledThread.objects.filter(workspace_id=workspace_id, thread_id__in=list(thread_ids)))


def _locked(workspace_id: UUID, going: QuerySet[BundledThread]) -> list[Bundle]:
    """The bundles of these threads, their rows locked in order. A thread that was moved meanwhile is in another now."""
    locked: dict[UUID, Bundle] = {}
    while missing := sorted(set(going.order_by().values_list("bundle_id", flat=True)) - locked.keys()):
        for bundle in (
            Bundle.objects.select_for_update().filter(workspace_id=workspace_id, pk__in=missing).order_by("pk")
        ):
            locked[bundle.pk] = bundle
    return [bundle for bundle in locked.values() if going.filter(bundle_id=bundle.pk).exists()]


def locked_readers(*, workspace_id: UUID, bundles: Mapping[UUID, UUID]) -> list[ThreadReader]:
    """Readers of archived threads (thread → the bundle that its row names) whose bundles nobody rewrites until the
    transaction ends. The threads' rows are locked, the bundles' come after them. Raises Damaged where the catalogue
    does not know a thread."""
    going = BundledThread.objects.filter(workspace_id=workspace_id, thread_id__in=list(bundles))
    paths = {bundle.pk: bundle.path for bundle in _locked(workspace_id, going)}
    entries = {entry.thread_id: entry for entry in going}
    for thread_id, bundle_id in bundles.items():
        if thread_id not in entries or entries[thread_id].bundle_id not in paths:
            raise Damaged(str(bundle_id), f"the catalogue has no {ids.encode(Thread.PREFIX, thread_id)}")
    found = sorted(entries.values(), key=lambda entry: (entry.bundle_id, entry.frames[0][0]))
    return [ThreadReader(entry, paths[entry.bundle_id], stays=True) for entry in found]


def retire_if_empty(*, workspace_id: UUID, bundle_id: UUID, now: datetime) -> None:
    """A bundle of which every thread was restored: nothing refers to it, its file is collected when it is a day old."""
    if not BundledThread.objects.filter(workspace_id=workspace_id, bundle_id=bundle_id).exists():
        Bundle.objects.filter(pk=bundle_id, workspace_id=workspace_id, removed_at__isnull=True).update(removed_at=now)


def _moved(bundle: Bundle, staying: Sequence[BundledThread], now: datetime) -> Bundle:
    """The threads that stay, in a new bundle. Their rows go on naming the bundle they were archived into; the catalogue
    knows better."""
    threads = Thread.objects.filter(
        workspace_id=bundle.workspace_id, pk__in=[entry.thread_id for entry in staying]
    ).order_by()
    created = dict(threads.values_list("pk", "created_at"))
    sources = [
        archive.Source(entry.thread_id, created[entry.thread_id], _lines(ThreadReader(entry, bundle.path)))
        for entry in sorted(staying, key=lambda entry: (created[entry.thread_id], entry.thread_id))
    ]
    successor, written = archive.store(workspace_id=bundle.workspace_id, sources=sources, now=now)
    archive.enter(successor, written, moved=True)
    return successor


def _lines(reader: ThreadReader) -> Iterator[Line]:
    for text, record in reader.checked():
        kind = record["type"]
        position = record["position"] if kind == "message" else 0
        yield Line(kind, position, text + b"\n", record["file"] if kind == "attachment" else "")
