"""Processes of this machine, for tests that promise to leave none behind (Linux: read from /proc)."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One process. The start time tells it from a later one that was given the same number."""

    pid: int
    started: str


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when the process is gone."""
    try:
        # The name, in brackets, may itself hold brackets and blanks.
        return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _all() -> list[tuple[Process, int]]:
    """Every process with the number of its parent."""
    found = []
    for entry in PROC.iterdir():
        stat = _stat(int(entry.name)) if entry.name.isdigit() else []
        if stat:
            found.append((Process(int(entry.name), stat[19]), int(stat[1])))
    return found


def descendants(pid: int) -> set[Process]:
    """Children of `pid`, and theirs, at this moment."""
    everyone = _all()
    found: set[Process] = set()
    parents = {pid}
    while parents:
        children = {child for child, parent in everyone if parent in parents} - found
        found |= children
        parents = {child.pid for child in children}
    return found


def working_in(directory: Path) -> set[Process]:
    """Processes that work in `directory` or below: a database server, whoever started it."""
    found = set()
    for process, _ in _all():
        with contextlib.suppress(OSError):
            where = Path(os.readlink(PROC / str(process.pid) / "cwd"))
            if where.is_relative_to(directory):
                found.add(process)
    return found


def is_alive(process: Process) -> bool:
    """Runs still; a dead process that nobody has waited for yet does not count."""
    stat = _stat(process.pid)
    return bool(stat) and stat[19] == process.started and stat[0] not in "ZX"


def command_of(process: Process) -> str:
    """Its command line, for a message."""
    with contextlib.suppress(OSError):
        words = (PROC / str(process.pid) / "cmdline").read_bytes().replace(b"\0", b" ")
        return f"{process.pid} {words.decode(errors='replace').strip()}"
    return str(process.pid)


def kill(process: Process) -> None:
    """End it at once, if it is still the same one, and wait until it is gone."""
    if is_alive(process):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    for _ in range(100):
        if not is_alive(process):
            return
        time.sleep(0.05)
    raise TimeoutError(f"{command_of(process)} outlives its killing")
