"""Threads whose bundle is gone, found again in one that the catalogue does not know.

So it is after the database was restored from a backup that is older than the archive: since then bundles were rewritten
without those who were purged or erased, and the catalogue still names the old files. What is found has exactly the
thread's SHA-256; it is written into a bundle of its own, which the catalogue knows, before anything else is done.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

import zstandard
from django.db import connection, transaction

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace
from threads.lifecycle.bundles import archive, manifest, records, vault, verify
from threads.lifecycle.bundles.writer import Line
from threads.models import Bundle, BundledThread, Thread

MANIFEST_BYTES = 256 * 2**20
READ_BYTES = 2**20


@transaction.atomic
def adopt(*, workspace_id: UUID, now: datetime) -> int:
    """Find what the catalogue lost; returns how many threads. Raises nothing for what is found nowhere: it stays lost,
    and verification names it.

    The threads are locked before the chain, as by those who purge or archive: the other way round each would wait for
    the other.
    """
    locked = _locked(workspace_id, _lost(workspace_id))
    if not locked:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(archive.CHAIN_LOCK, [str(workspace_id)])
    lost = {pk: sha256 for pk, sha256 in _lost(workspace_id).items() if pk in locked}
    adopted = 0
    for path in _unknown(workspace_id) if lost else ():
        entries = _entries(path, workspace_id)
        found = {pk: entries[pk] for pk, sha256 in lost.items() if pk in entries and entries[pk]["sha256"] == sha256}
        if found:
            _write(workspace_id, path, found, now)
            adopted += len(found)
            lost = {pk: sha256 for pk, sha256 in lost.items() if pk not in found}
    return adopted


def _locked(workspace_id: UUID, thread_ids: Iterable[UUID]) -> set[UUID]:
    threads = Thread.objects.select_for_update().filter(workspace_id=workspace_id, pk__in=list(thread_ids))
    return set(threads.order_by("pk").values_list("pk", flat=True))


def _lost(workspace_id: UUID) -> dict[UUID, str]:
    """Threads of the catalogue whose bundle's file is not there, with their hashes."""
    bundles = Bundle.objects.filter(workspace_id=workspace_id, removed_at__isnull=True)
    paths = bundles.values_list("pk", "path")
    gone = [pk for pk, path in paths if not vault.exists(f"{path}/{manifest.THREADS}")]
    rows = BundledThread.objects.filter(workspace_id=workspace_id, bundle_id__in=gone)
    return dict(rows.order_by().values_list("thread_id", "sha256"))


def _unknown(workspace_id: UUID) -> list[str]:
    """Bundles of the workspace that the catalogue does not name, whole ones only."""
    known = set(Bundle.objects.filter(workspace_id=workspace_id).values_list("path", flat=True))
    workspace = ids.encode(Workspace.PREFIX, workspace_id)
    return sorted(path for path, _ in vault.every_path(workspace) if path not in known)


def _entries(path: str, workspace_id: UUID) -> dict[UUID, dict[str, object]]:
    """What a bundle's manifest says of its threads, once all of the bundle was read and is what it says."""
    try:
        verify.whole(path=path, workspace=ids.encode(Workspace.PREFIX, workspace_id))
    except verify.Damaged:
        return {}
    with vault.read(f"{path}/{manifest.MANIFEST}") as file:
        return {manifest.entry_id(each): each for each in manifest.decode(file.read(MANIFEST_BYTES))["threads"]}


def _write(workspace_id: UUID, path: str, found: dict[UUID, dict[str, object]], now: datetime) -> None:
    threads = Thread.objects.filter(workspace_id=workspace_id, pk__in=list(found))
    created = dict(threads.order_by().values_list("pk", "created_at"))
    order: Sequence[tuple[datetime, UUID]] = sorted((at, pk) for pk, at in created.items())
    sources = [archive.Source(pk, at, _lines(path, found[pk])) for at, pk in order]
    bundle, written = archive.store(workspace_id=workspace_id, sources=sources, now=now)
    BundledThread.objects.filter(workspace_id=workspace_id, thread_id__in=list(created)).delete()
    archive.enter(bundle, written)
    Thread.objects.filter(workspace_id=workspace_id, pk__in=list(created)).update(bundle_id=bundle.pk)


def _lines(path: str, entry: dict[str, object]) -> Iterator[Line]:
    packed = vault.read_part(f"{path}/{manifest.THREADS}", int(str(entry["offset"])), int(str(entry["length"])))
    reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
    rest = b""
    while part := reader.read(READ_BYTES):
        *ended, rest = (rest + part).split(b"\n")
        for text in ended:
            record = records.parse(text)
            kind = record["type"]
            position = record["position"] if kind == "message" else 0
            yield Line(kind, position, text + b"\n", record["file"] if kind == "attachment" else "")
