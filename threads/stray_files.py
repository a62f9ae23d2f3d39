"""Files in the attachment storage that nothing refers to, and files that something refers to and that are not there.

A file is written before the transaction that refers to it is committed, and removed after the one that forgets it: what
fails in between leaves a file. It is found by its name, `workspace/thread/attachment`, and removed once it is a day
old; nothing that is under way takes so long. Whatever else stands in the storage is left alone.

The other way round nothing can be mended here: the file of an attachment is lost, and is named.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from django.core.files.storage import default_storage

from threads.models import Attachment, BundledThread

AGE = timedelta(days=1)
THREADS = 200  # looked up at once


def remove(*, now: datetime) -> int:
    """Remove what nothing refers to, in all workspaces; returns how many."""
    removed = 0
    for name in unreferenced(before=now - AGE):
        default_storage.delete(name)
        removed += 1
    return removed


def unreferenced(*, before: datetime) -> Iterator[str]:
    """Files from before a time that nothing refers to, by name."""
    for workspace in _ids_in(""):
        found = _ids_in(workspace)
        while threads := list(islice(found, THREADS)):
            known = _known(workspace, threads)
            names = [
                f"{workspace}/{thread}/{file}" for thread in threads for file in _listed(f"{workspace}/{thread}")[1]
            ]
            yield from (name for name in names if name not in known and _is_from_before(name, before))


def missing() -> Iterator[str]:
    """Files that rows or bundles refer to and that are not stored, by name. One listing per thread with files."""
    rows = Attachment.objects.order_by("workspace_id", "thread_id", "file").values_list("file", flat=True)
    yield from _missing(rows.iterator(chunk_size=THREADS))
    bundled = BundledThread.objects.exclude(files=[]).order_by("workspace_id", "thread_id")
    yield from _missing(
        name for files in bundled.values_list("files", flat=True).iterator(chunk_size=THREADS) for name in files
    )


def _missing(names: Iterable[str]) -> Iterator[str]:
    folder, there = "", set[str]()
    for name in names:
        where, _, file = name.rpartition("/")
        if where != folder:
            folder, there = where, set(_listed(where)[1])
        if file not in there and _is_referred_to(name):
            yield name


def _is_referred_to(name: str) -> bool:
    """Still: what was purged since the rows were read has no file by now."""
    live = Attachment.objects.filter(file=name)
    return live.exists() or BundledThread.objects.filter(files__contains=[name]).exists()


def _known(workspace: str, threads: list[str]) -> set[str]:
    """What rows and bundles refer to."""
    where = {"workspace_id": workspace, "thread_id__in": threads}
    bundled = BundledThread.objects.filter(**where).values_list("files", flat=True)
    rows = Attachment.objects.filter(**where).values_list("file", flat=True)
    return {*rows, *(name for files in bundled for name in files)}


def _is_from_before(name: str, before: datetime) -> bool:
    try:
        return bool(default_storage.get_modified_time(name) < before)
    except FileNotFoundError:  # somebody else was first
        return False


def _ids_in(folder: str) -> Iterator[str]:
    for name in _listed(folder)[0]:
        try:
            UUID(name)
        except ValueError:
            continue
        yield name


def _listed(folder: str) -> tuple[list[str], list[str]]:
    try:
        return default_storage.listdir(folder)
    except FileNotFoundError:  # nothing was ever stored
        return [], []
