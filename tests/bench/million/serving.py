"""The database, and both servers on it, each while a `with` lasts."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.conninfo import make_conninfo

from tests import processes
from tests.hub import ROOT, clean_environment, free_port
from threadhub import embedded

START_SECONDS = 60
# As README has it for production; the number of workers and the application follow.
GRANIAN = (
    *("--interface", "asgi", "--no-ws", "--host", "127.0.0.1", "--backlog", "2048", "--backpressure", "4096"),
    *("--respawn-failed-workers", "--workers-kill-timeout", "30"),
)
CONNINFO = "BENCH_CONNINFO"


@dataclass(frozen=True, slots=True)
class Database:
    home: Path
    conninfo: str


@dataclass(frozen=True, slots=True)
class Server:
    """A running web server: where it listens, and which processes work for its requests."""

    port: int
    pid: int
    home: Path

    def web(self) -> set[processes.Process]:
        return processes.descendants(self.pid) | {each for each, _ in processes._all() if each.pid == self.pid}

    def postgres(self) -> set[processes.Process]:
        return processes.working_in(self.home)


@contextmanager
def database(home: Path) -> Iterator[Database]:
    """An embedded PostgreSQL with all tables; ended with the `with`."""
    os.environ.update(DJANGO_SETTINGS_MODULE="threadhub.settings", THREADHUB_DATA_DIR=str(home), DATABASE_URL="")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    try:
        yield running(home)
    finally:
        from django.db import connections

        connections.close_all()
        embedded.release()


def running(home: Path) -> Database:
    """That of a hub which runs."""
    where = embedded.connection_settings(home)
    return Database(home, make_conninfo(host=where["HOST"], dbname=where["NAME"], user=where["USER"]))


@contextmanager
def hub(home: Path, *, workers: int) -> Iterator[Server]:
    """threadhub's web processes, as in production."""
    with granian("threadhub.asgi:application", home, workers, {"THREADHUB_DATA_DIR": str(home)}, "/health") as server:
        yield server


def index_of_bare(database: Database, *, kept: bool) -> None:
    """bare finds metadata by the plainest index there is for it, which the hub has no use for. It is not there while
    threads are written."""
    with psycopg.connect(database.conninfo, autocommit=True) as connection:
        connection.execute("DROP INDEX IF EXISTS bare_metadata")
        if kept:
            connection.execute(
                "CREATE INDEX bare_metadata ON threads_thread USING gin (workspace_id, metadata jsonb_path_ops)"
            )


@contextmanager
def bare(database: Database, *, workers: int) -> Iterator[Server]:
    """The reference."""
    own = {CONNINFO: database.conninfo}
    with granian("tests.bench.million.bare:application", database.home, workers, own, "/health") as server:
        yield server


@contextmanager
def granian(application: str, home: Path, workers: int, own: Mapping[str, str], ready: str) -> Iterator[Server]:
    port = free_port()
    command: list[Any] = [sys.executable, "-m", "granian", *GRANIAN]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--workers", str(workers), application],
        cwd=ROOT,
        env={**clean_environment(), **own},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}{ready}")
        yield Server(port, process.pid, home)
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if httpx.get(url, timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(url)
        time.sleep(0.1)
