"""Advisory file locks (flock) that end with their holder, however it ends.

flock belongs to the open file, not to the process: a forked child shares its parent's locks. A child made by
`os.fork` therefore closes what it inherited, so that a parent's locks end with the parent.
"""

import fcntl
import os
import time
from pathlib import Path

from threadhub.embedded.errors import EmbeddedPostgresError

POLL_SECONDS = 0.01

_open_files: set[int] = set()


class Busy(EmbeddedPostgresError):
    """Another process has been starting or stopping the embedded PostgreSQL for too long."""

    code = "embedded_postgres_busy"


def _close_inherited() -> None:
    for file in _open_files:
        os.close(file)
    _open_files.clear()


os.register_at_fork(after_in_child=_close_inherited)


class FileLock:
    """One open lock file; two of them conflict even inside one process. Raises OSError if it cannot open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self.file = os.open(path, flags, 0o600)
        _open_files.add(self.file)

    def __enter__(self) -> "FileLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def try_exclusive(self) -> bool:
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        return self._try(fcntl.LOCK_SH)

    def wait_shared(self) -> None:
        fcntl.flock(self.file, fcntl.LOCK_SH)

    def wait_exclusive(self, seconds: float | None = None) -> None:
        """Raises Busy when `seconds` pass first. Polls then, because flock itself knows no limit."""
        if seconds is None:
            fcntl.flock(self.file, fcntl.LOCK_EX)
            return
        deadline = time.monotonic() + seconds
        while not self.try_exclusive():
            if time.monotonic() > deadline:
                raise Busy(f"Another process has held {self.path} for more than {seconds:.0f} seconds.")
            time.sleep(POLL_SECONDS)

    def unlock(self) -> None:
        fcntl.flock(self.file, fcntl.LOCK_UN)

    def is_current(self) -> bool:
        """Whether the path still names this file; false after the directory was removed or replaced."""
        try:
            return os.path.samestat(os.fstat(self.file), os.stat(self.path))
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Give up the lock, except where a child process has inherited the file: then it is the child's."""
        if self.file in _open_files:
            _open_files.remove(self.file)
            os.close(self.file)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self.file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock at this moment. Takes it for an instant: only one may ask at a time."""
    with FileLock(path) as lock:
        return lock.try_exclusive()
