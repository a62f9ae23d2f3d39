"""Where bundles are: Django's storage API, and for directories of this machine what makes a write durable.

A name holds a whole file or none: local files are written beside it, flushed to the disk and renamed, and then the
directories are flushed too; an object store puts whole objects by itself.
"""

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from django.core.files.base import File
from django.core.files.storage import storages

PARTIAL = ".partial-"
SAFE = re.compile(
    r"workspace_[0-9a-z]{26}/\d{4}/\d{2}/[0-9a-f]{64}(/(manifest\.json|threads\.jsonl\.zst))?"
    r"|erasures/workspace_[0-9a-z]{26}/erasure_[0-9a-z]{26}\.json"  # the ledger (lifecycle/erasure/ledger.py)
)


class UnsafePath(ValueError):
    """A path that no bundle has: it could lead out of the archive."""


def check(path: str) -> str:
    """The path, if it is one of a bundle. Raises UnsafePath."""
    if not SAFE.fullmatch(path):
        raise UnsafePath(path)
    return path


def storage() -> Any:
    """The archive's storage, as the setting ARCHIVE_STORAGE has it."""
    return storages["archive"]


@contextmanager
def writing() -> Iterator["Draft"]:
    """A file to be written whole: `draft.file`, then `draft.keep(name)`. What is not kept leaves nothing behind."""
    draft = Draft()
    try:
        yield draft
    finally:
        draft.discard()


class Draft:
    """A file under a temporary name, in the archive's own directory: on the same file system as its final name."""

    def __init__(self) -> None:
        self.root = local_root()
        folder = self.root or Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108  private by its mode
        make_directory(folder)
        self.path = folder / f"{PARTIAL}{uuid.uuid4().hex}"
        self.file: IO[bytes] = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def keep(self, name: str) -> None:
        """Durable under its name from here on."""
        check(name)
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        if self.root is None:
            with self.path.open("rb") as content:
                if storage().exists(name):  # a retry writes the same file
                    storage().delete(name)
                storage().save(name, File(content))
            return
        target = self.root / name
        make_directory(target.parent)
        self.path.replace(target)
        sync_directory(target.parent)

    def discard(self) -> None:
        self.file.close()
        with suppress(FileNotFoundError):
            self.path.unlink()


def local_root() -> Path | None:
    """The archive's directory; None where it is an object store."""
    try:
        return Path(storage().path(""))
    except NotImplementedError:
        return None


def make_directory(path: Path) -> None:
    """The directory and those above it, each durable in its parent."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        sync_directory(folder.parent)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(name: str) -> IO[bytes]:
    """A file of a bundle, open for reading. Raises UnsafePath, OSError."""
    opened: IO[bytes] = storage().open(check(name), "rb")
    return opened


def remove(path: str) -> None:
    """Remove a bundle's files. What is gone already is gone."""
    for name in ("manifest.json", "threads.jsonl.zst"):
        storage().delete(f"{check(path)}/{name}")
    root = local_root()
    if root is not None:
        folder = root / path
        with suppress(OSError):  # not empty, or gone
            folder.rmdir()


def every_path() -> Iterator[tuple[str, datetime]]:
    """Every bundle's directory in the archive, with the time of its newest file; partial files by their own name."""
    top = storage()
    for folder in _folders(top, "", depth=4):
        _, files = top.listdir(folder)
        times = [top.get_modified_time(f"{folder}/{name}") for name in files]
        if times:
            yield folder, max(times)


def partial_files() -> list[Path]:
    """What crashed writers left in the archive's directory."""
    root = local_root()
    return sorted(root.glob(f"{PARTIAL}*")) if root is not None else []


def _folders(top: Any, folder: str, depth: int) -> Iterator[str]:
    if depth == 0:
        yield folder
        return
    try:
        folders, _ = top.listdir(folder)
    except FileNotFoundError:
        return
    for name in sorted(folders):
        yield from _folders(top, f"{folder}/{name}" if folder else name, depth - 1)
