"""Files in the attachment storage that nothing refers to.

A file is written before the transaction that refers to it is committed, and removed after the one that forgets it: what
fails in between leaves a file. It is found by its name, `workspace/thread/attachment`, and removed once it is a day
old; nothing that is under way takes so long. Whatever else stands in the storage is left alone.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from django.core.files.storage import default_storage

from threads.models import Attachment, BundledThread

AGE = timedelta(days=1)
THREADS = 200  # looked up at once


def remove(*, now: datetime) -> int:
    """Remove them, in all workspaces; returns how many."""
    removed = 0
    for workspace in _ids_in(""):
        found = _ids_in(workspace)
        while threads := list(islice(found, THREADS)):
            known = _known(workspace, threads)
            names = (
                f"{workspace}/{thread}/{file}" for thread in threads for file in _listed(f"{workspace}/{thread}")[1]
            )
            removed += sum(_remove(name, now - AGE) for name in names if name not in known)
    return removed


def _known(workspace: str, threads: list[str]) -> set[str]:
    """What rows and bundles refer to."""
    where = {"workspace_id": workspace, "thread_id__in": threads}
    bundled = BundledThread.objects.filter(**where).values_list("files", flat=True)
    rows = Attachment.objects.filter(**where).values_list("file", flat=True)
    return {*rows, *(name for files in bundled for name in files)}


def _remove(name: str, before: datetime) -> bool:
    try:
        if default_storage.get_modified_time(name) >= before:
            return False
    except FileNotFoundError:  # somebody else was first
        return False
    default_storage.delete(name)
    return True


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
