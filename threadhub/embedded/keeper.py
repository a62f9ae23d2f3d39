"""The process that ends the server when nobody is left to do so, because the last user was killed.

    python -S -P -m threadhub.embedded.keeper DATA_DIR LOCK_FILE

One per data directory, started with the server. It sleeps in the kernel until no process holds the use lock,
and each minute cuts the log. It owns nothing: killed, the next process that uses the server starts another.
"""

import os
import signal
import sys
import time
from pathlib import Path

from threadhub.embedded import detached, postmaster, server_log
from threadhub.embedded.identity import Identity
from threadhub.embedded.layout import Layout
from threadhub.embedded.locks import FileLock

CUT_EVERY_SECONDS = 60
PACKAGE_PARENT = Path(__file__).resolve().parents[2]


def ensure(layout: Layout) -> None:
    """Start the keeper unless there is one. The caller holds the start lock."""
    with FileLock(layout.keeper_lock) as lock:
        if not lock.try_exclusive() or not sys.executable:
            return
        module = [sys.executable, "-S", "-P", "-m", "threadhub.embedded.keeper"]
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            detached.spawn(
                [*module, str(layout.data_dir), str(lock.file)],
                identity=Identity(),
                output=nowhere,
                inherit=lock.file,
                env={**os.environ, "PYTHONPATH": str(PACKAGE_PARENT)},
            )
        finally:
            os.close(nowhere)


def is_unused(use: FileLock) -> bool:
    """Whether no process uses the server; if so, `use` is now held exclusively.

    The caller holds the start lock. A keeper that has just woken holds the lock exclusively for an instant,
    which is no use: then ask again.
    """
    while not use.try_exclusive():
        if use.try_shared():
            use.unlock()
            return False
        time.sleep(0.001)
    return True


def stop_if_unused(layout: Layout) -> bool:
    """Stop the server unless a process uses it; whether nobody does. The caller holds the start lock."""
    with FileLock(layout.use_lock) as use:
        if not is_unused(use):
            return False
        postmaster.stop(layout)
        return True


def keep(layout: Layout, keeper_lock: int) -> None:
    """Wait until nobody uses the server, stop it, and return."""
    while True:
        with FileLock(layout.use_lock) as use:
            use.wait_exclusive()
        with FileLock(layout.start_lock) as starting:
            starting.wait_exclusive()
            if stop_if_unused(layout):
                # Before the start lock: who starts a server next must see that it needs a keeper of its own.
                os.close(keeper_lock)
                return


def main() -> None:
    layout = Layout.of(Path(sys.argv[1]))
    signal.signal(signal.SIGALRM, lambda *_: server_log.cut(layout.log))
    signal.setitimer(signal.ITIMER_REAL, CUT_EVERY_SECONDS, CUT_EVERY_SECONDS)
    try:
        keep(layout, int(sys.argv[2]))
    except FileNotFoundError:
        return  # the data directory is gone, and PostgreSQL ends by itself when it notices


if __name__ == "__main__":
    main()
