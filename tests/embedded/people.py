"""Processes that use an embedded PostgreSQL, as commands, web processes and workers do, and a look at its server."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg

from tests import processes
from threadhub import embedded

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30

# Each line of input is one thing to do; each is answered with one line. The end of the input ends the process.
PROGRAM = """
import json, os, signal, sys
from pathlib import Path
from threadhub import embedded

data_dir, durable = Path(sys.argv[1]), sys.argv[2] == "durable"

def end(*_):
    embedded.release()
    os._exit(0)

signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it

def ensure():
    try:
        embedded.ensure_running(data_dir, durable=durable)
    except embedded.EmbeddedPostgresError as error:
        return {"error": type(error).__name__, "sentence": str(error)}
    return {}

for line in sys.stdin:
    word = line.strip()
    print(json.dumps({"ensure": ensure, "release": embedded.release}[word]() or {}), flush=True)
"""


class User:
    """One process that uses the server of a data directory."""

    def __init__(
        self,
        data_dir: Path,
        *,
        durable: bool = False,
        program: str = PROGRAM,
        env: Mapping[str, str] | None = None,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", program, str(data_dir), "durable" if durable else "fast"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            start_new_session=True,
        )

    def say(self, word: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"ended with {self.process.wait()} and no answer"
        said: dict[str, Any] = json.loads(line)
        return said

    def ensure(self) -> None:
        """Let it make sure that the server runs, and expect that it does."""
        self.say("ensure")
        said = self.answer()
        assert said == {}, said

    def refusal(self) -> tuple[str, str]:
        """Let it try to run the server, and return the error's class and sentence."""
        self.say("ensure")
        said = self.answer()
        assert said, "the server runs"
        return said["error"], said["sentence"]

    def leave(self) -> None:
        """End as a command ends, by itself."""
        assert self.process.stdin
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0

    def terminate(self) -> None:
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            try:
                pipe.close()
            except BrokenPipeError:
                continue


def connect(data_dir: Path, database: str = "") -> psycopg.Connection:
    at = embedded.connection_settings(data_dir)
    return psycopg.connect(
        host=at["HOST"], port=at["PORT"], user=at["USER"], dbname=database or at["NAME"], autocommit=True
    )


def ask(data_dir: Path, sql: str) -> Any:
    """The first column of the first row, through a connection of its own."""
    with connect(data_dir) as connection:
        row = connection.execute(sql).fetchone()
        return row[0] if row else None


def server_pid(data_dir: Path) -> int:
    """The process of the server, by its own word."""
    return int((data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])


def servers(data_dir: Path) -> set[processes.Process]:
    """Every living process of a PostgreSQL of this data directory: the server and its children."""
    return {one for one in processes.working_in(data_dir.resolve()) if processes.is_alive(one)}


def postmasters(data_dir: Path) -> set[int]:
    """The servers among them: those whose parent is not a PostgreSQL too."""
    parents = {one.pid: parent_of(one.pid) for one in servers(data_dir)}
    return {pid for pid, parent in parents.items() if parent and parent not in parents}


def parent_of(pid: int) -> int:
    """0 for a process that has ended meanwhile."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def keepers(data_dir: Path) -> set[int]:
    """Processes that wait to stop the server of this data directory."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except (FileNotFoundError, ProcessLookupError):
            continue
        if b"threadhub.embedded.keeper" in words and os.fsencode(data_dir.resolve()) in words:
            found.add(int(entry.name))
    return found


def kill_keepers(data_dir: Path) -> None:
    for pid in keepers(data_dir):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not keepers(data_dir))


def wait_until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.02)


def kill_server(data_dir: Path) -> None:
    """End the server itself, not its children, and wait until it is dead: a signal takes its time."""
    pid = server_pid(data_dir)
    (server,) = [one for one in servers(data_dir) if one.pid == pid]
    processes.kill(server)


def kill_all(data_dir: Path) -> None:
    """End every process of the data directory at once, as a machine that loses its power does."""
    kill_keepers(data_dir)
    for one in servers(data_dir):
        processes.kill(one)
