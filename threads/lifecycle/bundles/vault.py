"""Where bundles are: Django's storage API, and for directories of this machine what makes a write durable.

A name holds a whole file or none: local files are written beside it, flushed to the disk and renamed, and then the
directories are flushed too; an object store puts whole objects by itself, and has answered once they are durable.
"""

import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from django.core.files.base import File
from django.core.files.storage import storages

from threads.lifecycle.bundles import objects

PARTIAL = ".partial-"
FILES = ("manifest.json", "threads.jsonl.zst")
ID = "[0-7][0-9a-hjkmnp-tv-z]{25}"  # as threadhub.lib.ids spells it
BUNDLE = rf"workspace_{ID}/\d{{4}}/\d{{2}}/[0-9a-f]{{64}}"
FOLDER = re.compile(BUNDLE, re.ASCII)
SAFE = re.compile(
    rf"{BUNDLE}(/(manifest\.json|threads\.jsonl\.zst))?"
    rf"|erasures/workspace_{ID}/erasure_{ID}\.json",  # the ledger (lifecycle/erasure/ledger.py)
    re.ASCII,
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
    """A file under a temporary name, in the archive's own directory: on the same file system as its final name. For an
    object store a file without any name, which a crash takes with it."""

    def __init__(self) -> None:
        self.root = local_root()
        self.path: Path | None = None
        self.synced = False
        self.file: IO[bytes]
        if self.root is None:
            self.file = tempfile.TemporaryFile()  # noqa: SIM115  closed by discard
            return
        make_directory(self.root)
        self.path = self.root / f"{PARTIAL}{uuid.uuid4().hex}"
        self.file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def sync(self) -> None:
        """All that was written is on the disk, where it is one; more does not come. Raises OSError."""
        self.file.flush()
        if self.path is not None and not self.synced:
            os.fsync(self.file.fileno())
            self.synced = True

    def keep(self, name: str) -> None:
        """Durable under its name from here on. Raises OSError, StoreUnavailable."""
        check(name)
        self.sync()
        if self.root is None or self.path is None:
            _put(name, self.file)
            return
        self.file.close()
        target = self.root / name
        make_directory(target.parent)
        self.path.replace(target)
        sync_directory(target.parent)

    def discard(self) -> None:
        self.file.close()
        if self.path is not None:
            with suppress(FileNotFoundError):
                self.path.unlink()


def _put(name: str, content: IO[bytes]) -> None:
    """Into an object store, in one piece. A retry puts the same content under the same name."""
    content.seek(0)
    top = storage()
    with objects.reaching():
        if not objects.is_object_store(top) and top.exists(name):
            top.delete(name)  # such a storage would give the second a name of its own
        stored = top.save(name, File(content))
    if stored != name:
        raise OSError(f"the storage of the archive gave a file another name: {stored} for {name}")


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
    """A file of a bundle, to be read from its beginning. Raises UnsafePath, OSError, StoreUnavailable."""
    top = storage()
    if objects.is_object_store(top):
        return objects.stream(top, check(name))
    opened: IO[bytes] = top.open(check(name), "rb")
    return opened


def read_part(name: str, first: int, size: int) -> bytes:
    """`size` bytes of a file from `first` on. Raises UnsafePath, OSError, StoreUnavailable."""
    top = storage()
    if objects.is_object_store(top):
        with objects.stream(top, check(name), first=first, size=size) as part:
            return part.read()
    with top.open(check(name), "rb") as file:
        file.seek(first)
        data: bytes = file.read(size)
    return data


def exists(name: str) -> bool:
    """Whether the archive has a file. Raises UnsafePath, StoreUnavailable."""
    with objects.reaching():
        there: bool = storage().exists(check(name))
    return there


def names_in(folder: str) -> list[str]:
    """The files of a folder; none where there is no such folder. Raises StoreUnavailable."""
    try:
        with objects.reaching():
            _, names = storage().listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(names)


def remove(path: str) -> None:
    """Remove a bundle's files. What is gone already is gone."""
    for name in FILES:
        with objects.reaching():
            storage().delete(f"{check(path)}/{name}")
    root = local_root()
    if root is not None:
        folder = root / path
        with suppress(OSError):  # not empty, or gone
            folder.rmdir()


def every_path(workspace: str = "") -> Iterator[tuple[str, datetime]]:
    """Every bundle's directory in the archive, or of one workspace (its wire id), with the time of its newest file.
    What others keep in the same place has no such names, and is not ours to look at."""
    for folder in _folders(storage(), workspace, depth=3 if workspace else 4):
        modified = modified_at(folder) if FOLDER.fullmatch(folder) else None
        if modified is not None:
            yield folder, modified


def modified_at(path: str) -> datetime | None:
    """The time of the newest file of a bundle; None where it has none. Raises StoreUnavailable."""
    times: list[datetime] = []
    top = storage()
    for name in names_in(check(path)):
        with suppress(FileNotFoundError), objects.reaching():  # gone between two looks
            times += [top.get_modified_time(f"{path}/{name}")] if name in FILES else []
    return max(times, default=None)


def partial_files() -> list[Path]:
    """What crashed writers left in the archive's directory."""
    root = local_root()
    return sorted(root.glob(f"{PARTIAL}*")) if root is not None else []


def _folders(top: Any, folder: str, depth: int) -> Iterator[str]:
    if depth == 0:
        yield folder
        return
    try:
        with objects.reaching():
            folders, _ = top.listdir(folder)
    except FileNotFoundError:
        return
    for name in sorted(folders):
        yield from _folders(top, f"{folder}/{name}" if folder else name, depth - 1)
