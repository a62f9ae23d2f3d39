"""Exports of many threads: a zip file, written to disk piece by piece; the same threads give the same bytes."""

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO
from uuid import UUID

from django.core.files.storage import default_storage

from threadhub.lib import ids
from threadhub.workspaces.models import Workspace
from threads.lifecycle.bundles import manifest, records
from threads.lifecycle.bundles.manifest import Range
from threads.lifecycle.bundles.writer import BundleWriter
from threads.lifecycle.exporting import content, pages
from threads.models import Thread

FORMATS = ("jsonl", "html", "markdown", "csv")
EPOCH = (1980, 1, 1, 0, 0, 0)
COPIED_BYTES = 2**20


def write(*, out: IO[bytes], workspace_id: UUID, thread_ids: Sequence[UUID], format: str) -> int:
    """Write an export of these threads into an open file; returns how many there were. Those that went meanwhile are
    left out. Raises Damaged."""
    ordered = sorted(thread_ids)
    with zipfile.ZipFile(out, "w", allowZip64=True) as archive, content.snapshot():
        written = WRITERS[format](archive, workspace_id, ordered)
        for thread in _threads(workspace_id, ordered):
            _attachments(archive, thread)
    return written


def _threads(workspace_id: UUID, thread_ids: Sequence[UUID]) -> Iterator[Thread]:
    for start in range(0, len(thread_ids), content.CHUNK):
        page = thread_ids[start : start + content.CHUNK]
        yield from Thread.objects.filter(workspace_id=workspace_id, pk__in=page).order_by("pk")


def _bundle(archive: zipfile.ZipFile, workspace_id: UUID, thread_ids: Sequence[UUID]) -> int:
    """`threadhub-archive/1`, as in the archive, with no bundle before it."""
    moments = []
    with tempfile.TemporaryFile() as packed:
        with BundleWriter(packed) as writer:
            for thread in _threads(workspace_id, thread_ids):
                writer.add(thread.pk, content.lines(thread))
                moments.append(thread.created_at)
        text = manifest.encode(
            workspace=ids.encode(Workspace.PREFIX, workspace_id),
            content_sha256=writer.content_hash.hexdigest(),
            previous="",
            file_sha256=writer.file_hash.hexdigest(),
            file_size=writer.offset,
            threads=writer.threads,
            span=Range(*(records.timestamp(each) for each in (min(moments), max(moments))))
            if moments
            else Range("", ""),
        )
        _put(archive, manifest.MANIFEST, [text])
        packed.seek(0)
        with archive.open(_info(manifest.THREADS, zipfile.ZIP_STORED), "w", force_zip64=True) as into:
            shutil.copyfileobj(packed, into, COPIED_BYTES)
    return len(writer.threads)


def _html(archive: zipfile.ZipFile, workspace_id: UUID, thread_ids: Sequence[UUID]) -> int:
    return _pages(archive, workspace_id, thread_ids, "html", lambda thread: pages.html(thread, pages.beside))


def _markdown(archive: zipfile.ZipFile, workspace_id: UUID, thread_ids: Sequence[UUID]) -> int:
    return _pages(archive, workspace_id, thread_ids, "md", lambda thread: pages.markdown(thread, pages.beside))


def _pages(
    archive: zipfile.ZipFile,
    workspace_id: UUID,
    thread_ids: Sequence[UUID],
    suffix: str,
    render: Callable[[Thread], Iterator[str]],
) -> int:
    count = 0
    for thread in _threads(workspace_id, thread_ids):
        _put(archive, f"threads/{thread.wire_id}.{suffix}", (piece.encode() for piece in render(thread)))
        count += 1
    return count


def _csv(archive: zipfile.ZipFile, workspace_id: UUID, thread_ids: Sequence[UUID]) -> int:
    count = 0

    def counted() -> Iterator[Thread]:
        nonlocal count
        for thread in _threads(workspace_id, thread_ids):
            count += 1
            yield thread

    _put(archive, "messages.csv", (row.encode() for row in pages.table(counted())))
    return count


WRITERS = {"jsonl": _bundle, "html": _html, "markdown": _markdown, "csv": _csv}


def _attachments(archive: zipfile.ZipFile, thread: Thread) -> None:
    for each in content.attachments(thread):
        if not default_storage.exists(str(each.file.name)):
            continue  # doctor tells of it
        with each.file.open("rb") as file, archive.open(_info(content.path_of(each.pk)), "w") as into:
            shutil.copyfileobj(file, into, COPIED_BYTES)


def _put(archive: zipfile.ZipFile, name: str, parts: Iterable[bytes]) -> None:
    with archive.open(_info(name), "w", force_zip64=True) as into:
        for part in parts:
            into.write(part)


def _info(name: str, how: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = how
    info.external_attr = 0o600 << 16
    return info


def lines_of(thread: Thread) -> Iterator[bytes]:
    """One thread as lines of JSON."""
    return (line.text for line in content.lines(thread))


def one(thread: Thread, format: str) -> Iterator[bytes]:
    """One thread in one file: lines of JSON, a page with its files in it, Markdown, or a table."""
    match format:
        case "jsonl":
            yield from lines_of(thread)
        case "html":
            yield from (piece.encode() for piece in pages.html(thread))
        case "markdown":
            yield from (piece.encode() for piece in pages.markdown(thread))
        case _:
            yield from (row.encode() for row in pages.table(iter([thread])))
