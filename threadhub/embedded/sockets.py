"""The directory of the server's socket, private to whom it runs as: whoever can connect is trusted."""

import contextlib
import os
import socket

from threadhub.embedded.errors import EmbeddedPostgresError
from threadhub.embedded.identity import Identity
from threadhub.embedded.layout import SOCKET_NAME, Layout, socket_path


class SocketUnsafe(EmbeddedPostgresError):
    """The directory for the database's socket belongs to somebody else."""

    code = "embedded_postgres_socket_unsafe"


class SocketMissing(EmbeddedPostgresError):
    """The embedded PostgreSQL runs but its socket is gone."""

    code = "embedded_postgres_socket_missing"


def prepare(layout: Layout, identity: Identity) -> None:
    """Make the directory, or take over one that is ours, for a new server. No server may run.

    Raises SocketUnsafe for a directory of somebody else: below /tmp anyone may have made one of this name, to
    show clients a false server.
    """
    with contextlib.suppress(FileExistsError):
        layout.socket_directory.mkdir(mode=0o700)
    directory = _open(layout)
    try:
        identity.adopt(directory)
        os.fchmod(directory, 0o700)
        # A killed server leaves both, and PostgreSQL takes any living process with its old id for it.
        for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
    finally:
        os.close(directory)


def remove(layout: Layout) -> None:
    """Leave nothing below /tmp once the server has stopped."""
    with contextlib.suppress(OSError, SocketUnsafe):
        os.close(_open(layout))
        layout.socket_directory.rmdir()


def check(layout: Layout) -> None:
    """Raises SocketMissing or SocketUnsafe when somebody removed or replaced the running server's socket."""
    path = socket_path(layout.socket_directory)
    if not path.exists():
        raise SocketMissing(f"The embedded PostgreSQL runs but its socket {path} is gone; restart every process.")
    os.close(_open(layout))


def _open(layout: Layout) -> int:
    """The directory as an open file, so that nobody can swap it after the look at its owner."""
    path = layout.socket_directory
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise SocketUnsafe(f"{path} is no directory of ours, so the database's socket cannot lie there.") from error
    if os.fstat(directory).st_uid in (os.geteuid(), layout.root.stat().st_uid):
        return directory
    os.close(directory)
    raise SocketUnsafe(f"{path} belongs to somebody else, so the database's socket cannot lie there.")


def accepts(layout: Layout) -> bool:
    """Whether anybody listens. Costs the server a process, so only for when its own cannot be seen."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(socket_path(layout.socket_directory)))
        except OSError:
            return False
    return True
