"""Where everything of one embedded PostgreSQL lies. Pure: nothing here creates, starts or locks anything."""

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

# The port is only part of the socket's name, nothing listens on TCP.
PORT = "5432"
SOCKET_NAME = f".s.PGSQL.{PORT}"
# Bytes of sockaddr_un.sun_path without the closing NUL.
SOCKET_PATH_BYTES = 107 if sys.platform == "linux" else 103
# Not $TMPDIR: two processes of one data directory must agree on the place whatever their environment.
SHORT_ROOT = Path("/tmp")  # noqa: S108  the directory below it is private and its owner is checked before use


def socket_path(directory: Path) -> Path:
    """The socket file inside a socket directory."""
    return directory / SOCKET_NAME


def socket_directory(data_dir: Path) -> Path:
    """The directory of the server's Unix socket: inside the data directory, or a short one derived from it.

    The short one is for a path that would not fit a socket address or holds a comma (libpq reads a list).
    """
    real = os.path.realpath(data_dir)
    inside = Path(real, "postgres", "socket")
    if len(os.fsencode(socket_path(inside))) <= SOCKET_PATH_BYTES and "," not in real:
        return inside
    digest = hashlib.blake2s(b"%d:" % os.geteuid() + os.fsencode(real), digest_size=8).hexdigest()
    return SHORT_ROOT / f"threadhub-{digest}"


@dataclass(frozen=True)
class Layout:
    """The paths below one data directory, which is absolute and free of symbolic links."""

    data_dir: Path

    @classmethod
    def of(cls, data_dir: Path) -> "Layout":
        return cls(Path(os.path.realpath(data_dir)))

    @property
    def root(self) -> Path:
        """What belongs to PostgreSQL and its launcher; the rest of the data directory is the product's."""
        return self.data_dir / "postgres"

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data directory. It appears by one rename, complete."""
        return self.root / "cluster"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def socket_directory(self) -> Path:
        return socket_directory(self.data_dir)

    @property
    def use_lock(self) -> Path:
        """Held shared by every process that uses the server, for as long as it lives."""
        return self.root / "use.lock"

    @property
    def start_lock(self) -> Path:
        """Held exclusively while the server is started or stopped."""
        return self.root / "start.lock"

    @property
    def server_lock(self) -> Path:
        """Inherited by the server and its children: free means that none of them is left."""
        return self.root / "server.lock"

    @property
    def keeper_lock(self) -> Path:
        """Inherited by the keeper, of which there is one at most."""
        return self.root / "keeper.lock"
