"""One PostgreSQL per data directory, shared by any number of processes, none of which owns it.

The first that needs the server starts it, the last that ends stops it, and either may be killed at any
instant. README.md says which locks make that so.
"""

import atexit
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from threadhub.embedded import keeper, postmaster, process
from threadhub.embedded.cluster import DATABASE, ROLE
from threadhub.embedded.errors import DirectoryUnusable, EmbeddedPostgresError, from_os_error
from threadhub.embedded.layout import PORT, Layout, socket_directory
from threadhub.embedded.locks import Busy, FileLock

# More than the start or the stop of another process may take.
LOCK_SECONDS = 360
# Seconds for which a server that was seen is not looked for again: to look lets a process's other threads go first.
SEEN_FOR = 0.05
# How long an ending process waits for its own thread that starts the server; the keeper does the rest.
RELEASE_SECONDS = 5

__all__ = ["connection_settings", "ensure_running", "ensure_running_for", "release", "socket_directory"]


class ProcessEnding(EmbeddedPostgresError):
    """This process is ending and does not start the embedded PostgreSQL again."""

    code = "embedded_postgres_process_ending"


class _Use:
    """This process's use of one data directory."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.pid = os.getpid()
        self.guard = threading.RLock()
        self.busy = False
        self.lock: FileLock | None = None
        self.watch: process.Watch | None = None
        self.alive_until = 0.0  # by the monotonic clock, as far as this process was seen to live

    def ensure(self, *, durable: bool) -> None:
        if time.monotonic() < self.alive_until:
            return
        with self.guard:
            if self.lock and self.watch and self.watch.is_alive():
                self.alive_until = time.monotonic() + SEEN_FOR
                return
            self.busy = True
            try:
                self._ensure_slowly(durable=durable)
            except OSError as error:
                self._let_go()
                raise from_os_error(error) from error
            except BaseException:
                self._let_go()
                raise
            finally:
                self.busy = False

    def release(self) -> None:
        """Give up the use, and stop the server if it was the last one.

        Does nothing within `ensure` or `release` itself, where a signal handler may be: the keeper does it then.
        """
        if not self.guard.acquire(timeout=RELEASE_SECONDS):
            return
        try:
            if self.lock and not self.busy:
                self.busy = True
                try:
                    self._stop_if_last()
                finally:
                    self.busy = False
        finally:
            self.guard.release()

    def _stop_if_last(self) -> None:
        try:
            with FileLock(self.layout.start_lock) as starting:
                starting.wait_exclusive(LOCK_SECONDS)
                self._let_go()
                keeper.stop_if_unused(self.layout)
        except FileNotFoundError:
            self._let_go()  # the data directory is gone, and PostgreSQL ends by itself when it notices
        except Busy:
            self._let_go()  # the keeper stops the server later

    def _ensure_slowly(self, *, durable: bool) -> None:
        self._make_directories()
        with FileLock(self.layout.start_lock) as starting:
            starting.wait_exclusive(LOCK_SECONDS)
            self._take_use_lock()
            keeper.ensure(self.layout)
            pid = postmaster.ensure_ready(self.layout, durable=durable, start_lock=starting)
            if self.watch:
                self.watch.close()
            self.watch = process.Watch(self.layout, pid)

    def _make_directories(self) -> None:
        # Root may have to run PostgreSQL as somebody else, who must be able to pass.
        self.layout.data_dir.mkdir(mode=0o700 if os.geteuid() else 0o711, parents=True, exist_ok=True)
        self.layout.root.mkdir(mode=0o700, exist_ok=True)
        if not os.access(self.layout.root, os.R_OK | os.W_OK | os.X_OK):
            raise DirectoryUnusable(f"{self.layout.root} cannot be written by user {os.geteuid()}.")

    def _take_use_lock(self) -> None:
        if self.lock and not self.lock.is_current():
            self.lock.close()
            self.lock = None
        if self.lock is None:
            self.lock = FileLock(self.layout.use_lock)
            self.lock.wait_shared()

    def _let_go(self) -> None:
        self.alive_until = 0.0
        if self.lock:
            self.lock.close()
            self.lock = None
        if self.watch:
            self.watch.close()
            self.watch = None


_uses: dict[Path, _Use] = {}
_uses_guard = threading.RLock()  # a signal handler may release while its own thread holds it
_ending = False


def connection_settings(data_dir: Path) -> dict[str, str]:
    """How to connect, in the words of Django's DATABASES. Starts nothing and touches nothing."""
    return {
        "HOST": str(socket_directory(data_dir)),
        "PORT": PORT,
        "NAME": DATABASE,
        "USER": ROLE,
        "PASSWORD": "",
    }


def ensure_running(data_dir: Path, *, durable: bool = True) -> None:
    """Return once the server of `data_dir` accepts connections, or did so SEEN_FOR ago; it stays at least until this
    process ends.

    Cheap to call before every connection. `durable=False` trades the data's safety for speed, and counts only
    for the process that starts the server. Raises EmbeddedPostgresError with one sentence for the user.
    """
    if _ending:
        raise ProcessEnding
    _use_of(data_dir.absolute()).ensure(durable=durable)


def ensure_running_for(database: Mapping[str, Any]) -> None:
    """`ensure_running` for one entry of Django's DATABASES; nothing for a database that is not embedded.

    For whoever connects without Django, such as the worker's own connections.
    """
    if data_dir := database.get("THREADHUB_DATA_DIR"):
        ensure_running(data_dir, durable=database.get("THREADHUB_DURABLE", True))


def release() -> None:
    """End this process's use of every server, stopping those that nobody else uses.

    Runs at the end of the process by itself, except after a signal: call it from a handler of SIGTERM.
    """
    with _uses_guard:
        uses = [use for use in _uses.values() if use.pid == os.getpid()]
    for use in uses:
        use.release()


def _use_of(data_dir: Path) -> _Use:
    """Two spellings of one directory are two uses: harmless, and no link is resolved on every call."""
    with _uses_guard:
        use = _uses.get(data_dir)
        if use is None or use.pid != os.getpid():
            use = _uses[data_dir] = _Use(Layout.of(data_dir))
        return use


def _forget_after_fork() -> None:
    """A forked child uses nothing yet. `locks` closes its parent's locks; a guard may be held for ever."""
    global _uses_guard
    _uses_guard = threading.RLock()
    for use in _uses.values():
        if use.watch:
            use.watch.close()
    _uses.clear()


def _release_at_exit() -> None:
    global _ending
    _ending = True
    release()


os.register_at_fork(after_in_child=_forget_after_fork)
atexit.register(_release_at_exit)
