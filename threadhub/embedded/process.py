"""Looking at processes by their number: is this the server of this cluster, is that one left over from it."""

import os
import re
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

from threadhub.embedded.layout import Layout

PROC = Path("/proc")
HAS_PROC = (PROC / "self" / "cwd").exists()
PROGRAM = "postgres"


class Watch:
    """A cheap look at whether one server process still lives."""

    def __init__(self, layout: Layout, pid: int) -> None:
        self.pid = pid
        self.file = -1
        if hasattr(os, "pidfd_open"):
            try:
                self.file = os.pidfd_open(pid)
            except OSError:
                self.pid = 0
        # Looked at only now, when the descriptor already pins the process: the number alone may be reused.
        if not is_server(pid, layout):
            self.pid = 0

    def is_alive(self) -> bool:
        """False as well for a server whose process cannot be seen from here, as from another container."""
        if not self.pid:
            return False
        if self.file >= 0:
            poll = select.poll()
            poll.register(self.file, select.POLLIN)
            return not poll.poll(0)
        return exists(self.pid)

    def close(self) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
        self.pid = 0


def exists(pid: int) -> bool:
    """Whether the number is taken, be it by a dead process that nobody has waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def send(pid: int, number: int) -> None:
    """Signal a process that may have ended meanwhile."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def is_server(pid: int, layout: Layout) -> bool:
    """Whether the process is a PostgreSQL that serves this cluster. A reused process id is not."""
    if not HAS_PROC:
        said = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True)
        return PROGRAM in said.stdout and str(layout.cluster) in said.stdout
    try:
        return _works_in(pid, layout.cluster)
    except PermissionError:
        # Root in a container may signal other users' processes but not look into them.
        words = _command(pid)
        return Path(os.fsdecode(words[0])).name == PROGRAM and os.fsencode(layout.cluster) in words
    except OSError:
        return False


def left_over(layout: Layout) -> Iterator[int]:
    """Children of a killed server of this cluster.

    Where it cannot be seen what they work in, those of any killed server of the same user: to end them costs nobody
    anything.
    """
    owner = layout.root.stat().st_uid
    for entry in PROC.iterdir() if HAS_PROC else ():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        try:
            if _works_in(pid, layout.cluster):
                yield pid
        except PermissionError:
            is_child = _command(pid)[0].startswith(b"postgres: ")
            if is_child and _owner(pid) == owner and _name(_parent(pid)) != PROGRAM:
                yield pid
        except OSError:
            continue


def _works_in(pid: int, cluster: Path) -> bool:
    """Raises OSError when the process is gone or its working directory may not be read."""
    there = os.stat(PROC / str(pid) / "cwd")
    program = os.readlink(PROC / str(pid) / "exe").removesuffix(" (deleted)")
    return Path(program).name == PROGRAM and os.path.samestat(there, cluster.stat())


def _command(pid: int) -> list[bytes]:
    """The words of its command line; one empty word for a process that is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return [b""]


def _owner(pid: int) -> int | None:
    """Whom the process runs as: the second number after `Uid:`."""
    try:
        found = re.search(r"^Uid:\s+\d+\s+(\d+)", (PROC / str(pid) / "status").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None


def _stat(pid: int) -> re.Match[str] | None:
    try:
        return re.match(r"\d+ \((.*)\) . (\d+)", (PROC / str(pid) / "stat").read_text(), re.DOTALL)
    except OSError:
        return None


def _name(pid: int) -> str:
    found = _stat(pid)
    return found[1] if found else ""


def _parent(pid: int) -> int:
    found = _stat(pid)
    return int(found[2]) if found else 0
