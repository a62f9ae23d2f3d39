"""Running `manage.py up` and other commands as a person does, and looking at what they leave."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import processes
from tests.hub import ROOT, clean_environment, free_port, read_line

SECONDS = 120


@dataclass
class Up:
    """One `manage.py up`, its output in files."""

    process: subprocess.Popen[bytes]
    port: int
    out: Path
    err: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def facts(self) -> dict[str, Any]:
        """The line of `--json`, as soon as it is there."""
        found: dict[str, Any] = json.loads(read_line(self.out, self.process))
        return found

    def text(self) -> str:
        """What it says to a person, once it has said all."""
        until(lambda: "Ctrl-C" in self.out.read_text() or self.process.poll() is not None)
        return self.out.read_text()

    def child(self, words: str) -> list[processes.Process]:
        """Its descendants whose command line holds `words`."""
        found = processes.descendants(self.process.pid)
        return [process for process in found if words in processes.command_of(process)]

    def signal(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the exit status."""
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


def hear_hangups() -> None:
    """As in a terminal: what runs the tests may have been started with `nohup`, which its children inherit."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def up(data_dir: Path, *options: str, port: int | None = None, **environment: str) -> Up:
    """Start it; it is not ready yet."""
    port = port or free_port()
    logs = data_dir.parent / f"{data_dir.name}-logs"
    logs.mkdir(exist_ok=True)
    number = len(list(logs.iterdir()))
    out, err = logs / f"{number}.out", logs / f"{number}.err"
    command = [sys.executable, "manage.py", "up", "--port", str(port), "--data-dir", str(data_dir), *options]
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**clean_environment(), **environment},
            preexec_fn=hear_hangups,
        )
    return Up(process, port, out, err)


def manage(
    *words: str, environment: Mapping[str, str] | None = None, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """Any command, to its end."""
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env={**clean_environment(), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        **options,
    )


def until(true: Callable[[], bool], seconds: float = SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def all_gone(found: set[processes.Process]) -> bool:
    return not any(processes.is_alive(process) for process in found)


def is_root() -> bool:
    return os.geteuid() == 0
