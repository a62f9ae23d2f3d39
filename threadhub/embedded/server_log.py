"""PostgreSQL's log: one file that keeps its newest part."""

import os
import re
from pathlib import Path

LIMIT_BYTES = 8 * 2**20
KEPT_BYTES = 2**20
NO_SPACE = "No space left on device"

_SEVERE = re.compile(r"\b(?:PANIC|FATAL|ERROR):\s+(.*)|^(?:postgres|initdb): error: (.*)", re.IGNORECASE)


def open_for_append(path: Path) -> int:
    """A file descriptor that always writes at the end, wherever a cut has moved it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def cut(path: Path) -> int:
    """Keep the newest megabyte of a log that has grown past 8 MiB; return the file's size.

    The server goes on writing meanwhile: a line it writes between the read and the cut is lost.
    """
    file = open_for_append(path)
    try:
        size = os.fstat(file).st_size
        if size <= LIMIT_BYTES:
            return size
        newest = os.pread(file, KEPT_BYTES, size - KEPT_BYTES).partition(b"\n")[2]
        os.ftruncate(file, 0)
        os.write(file, newest)
        return len(newest)
    finally:
        os.close(file)


def read_from(path: Path, offset: int) -> str:
    """What was written after `offset`, its last 64 KiB at most."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(offset, size - 2**16))
        return file.read().decode(errors="replace")


def cause_in(text: str) -> str:
    """The first severe message in a log, without its prefix; else its last line; else nothing."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if found := _SEVERE.search(line):
            return (found[1] or found[2]).rstrip(".")
    return lines[-1].rstrip(".") if lines else ""
