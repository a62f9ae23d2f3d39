"""What `strace` does for these tests: it counts a process's calls to the kernel, and breaks one of them."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# What changes something outside of the process: files, their names, and what is said to the database.
CALLS = (
    "write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate", "rename", "renameat", "renameat2", "link",
    "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "sendto", "sendmsg",
)  # fmt: skip
SENDS = ("sendto", "sendmsg")
LINE = re.compile(r"^(?:\d+\s+)?(\w+)\((.*)\)\s+= (\?|-?\d+)", re.DOTALL)
UNFINISHED = " <unfinished ...>"
RESUMED = re.compile(r"^\d+\s+<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
FILE = re.compile(r"\d+<([^>]*)>")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Point:
    """The `number`th call of one kind, of whichever thread comes to it first, and what befalls it: `kill`, an error
    such as `EIO`, or `cut`: the process is stopped, and its connections to the database cut, before it hears what
    became of what it sent; `term`: SIGTERM."""

    call: str
    number: int
    fault: str

    @property
    def injection(self) -> str:
        signals = {"kill": "signal=SIGKILL", "cut": "signal=SIGSTOP", "term": "signal=SIGTERM"}
        fault = signals.get(self.fault, f"error={self.fault}")
        return f"{self.call}:{fault}:when={self.number}"

    def __str__(self) -> str:
        return f"{self.fault} at {self.call} {self.number}"


@dataclass(frozen=True, slots=True)
class Call:
    """A call as strace wrote it down. `paths`: of its descriptor, or as given. `done`: it was carried out."""

    name: str
    paths: tuple[str, ...]
    flags: str
    done: bool
    injected: bool


def attach(pid: int, log: Path, point: Point | None) -> subprocess.Popen[bytes]:
    """strace on a process that waits for it."""
    traced = ",".join(f"?{name}" for name in (*CALLS, "openat"))
    command = [
        "strace",
        "-f",
        "-qq",
        "-y",
        "-s",
        "256",
        "-e",
        f"trace={traced}",
        "-e",
        "signal=SIGSTOP,SIGTERM",
        "-o",
        str(log),
    ]
    if point is not None:
        command += ["-e", f"inject={point.injection}"]
    return subprocess.Popen([*command, "-p", str(pid)], stderr=subprocess.DEVNULL)


def calls(log: Path) -> Iterator[Call]:
    """The calls that change something, in their order."""
    for line in _whole(log.read_text(errors="replace").splitlines()):
        match = LINE.match(line)
        if match is None:
            continue
        name, arguments, result = match.groups()
        injected = "INJECTED" in line or result == "?"
        if name == "openat":
            found, flags = tuple(TEXT.findall(arguments)[:1]), arguments.rpartition('"')[2]
            if "O_CREAT" not in flags:
                continue
        elif name in ("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "link"):
            found, flags = tuple(TEXT.findall(arguments)), ""
        else:
            found, flags = tuple(FILE.findall(arguments)[:1]), ""
        yield Call(name, found, flags, result not in ("?",) and not result.startswith("-"), injected)


def _whole(lines: Iterable[str]) -> Iterator[str]:
    """Each call in one line, where it ended: those of several threads are written down in pieces."""
    begun: dict[str, str] = {}
    for line in lines:
        thread = line.partition(" ")[0]
        if line.endswith(UNFINISHED):
            begun[thread] = line.removesuffix(UNFINISHED)
        elif (end := RESUMED.match(line)) is not None:
            yield begun.pop(thread, f"{thread} {end[1]}(") + end[2]
        else:
            yield line
    yield from (f"{beginning}) = ?" for beginning in begun.values())  # it died in them


STOPPED = "stopped by SIGSTOP"
ASKED_TO_END = "--- SIGTERM"


def befell(log: Path) -> bool:
    """Whether the process came to its point at all."""
    text = log.read_text(errors="replace")
    return STOPPED in text or ASKED_TO_END in text or any(call.injected for call in calls(log))


def counted(log: Path) -> Counter[str]:
    """How many calls of each kind."""
    return Counter(call.name for call in calls(log) if call.name != "openat")
