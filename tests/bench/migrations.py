"""Whom migrations keep waiting: `python -m tests.bench.migrations DIRECTORY [--from 0035]`. Prints Markdown.

DIRECTORY holds the database that `python -m tests.bench.million --keep DIRECTORY` seeded, to be served by nobody else.
The app `threads` is taken back to the migration that is named, and migrated again by `manage.py migrate` as an operator
does it, while four clients read threads, append messages and create threads by the statements of `million/bare.py`,
which both versions of the tables know. For each migration it tells how long the longest of their statements took that
were under way meanwhile; last of what `migrate` does after all of them. What the clients wrote stays in the database.
"""

import argparse
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from tests.bench.million import bare, seed, serving, workloads
from tests.hub import ROOT
from threadhub.lib import ids

CLIENTS = 4
BEFORE = 5.0  # seconds of asking before the first migration
READS, APPENDS = 0.6, 0.2  # of all that is asked; the rest creates threads
APPLYING, APPLIED = "  Applying ", "... OK"


class Clients:
    """Statements on connections of their own, one after the other, and how long the longest of late took."""

    def __init__(self, database: serving.Database, world: seed.World) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._longest = 0.0  # seconds
        self._under_way: dict[int, float] = {}  # of each client, since when
        self._failed: list[Exception] = []
        self._database = database
        self._over = threading.Event()
        self._agent = ids.decode("agent", world.agent)
        self._some = [ids.decode("thread", each) for each in world.some_threads]
        self._of_50 = [ids.decode("thread", each) for each in world.threads_of_50]
        with psycopg.connect(database.conninfo) as connection:
            found = connection.execute("SELECT workspace_id FROM agents_agent WHERE id = %s", [self._agent]).fetchone()
        assert found is not None, world.agent
        self._workspace: UUID = found[0]
        self._threads = [threading.Thread(target=self._ask, args=[number]) for number in range(CLIENTS)]

    def __enter__(self) -> "Clients":
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join()

    def take(self) -> tuple[int, float]:
        """Statements since the last time, and seconds that the longest took, so far. Raises what one of them raised."""
        with self._lock:
            if self._failed:
                raise self._failed[0]
            now = time.perf_counter()
            longest = max([self._longest, *(now - began for began in self._under_way.values())])
            taken = self._count, longest
            self._count, self._longest = 0, 0.0
        return taken

    def _ask(self, number: int) -> None:
        chance = random.Random(number)
        try:
            with psycopg.connect(self._database.conninfo, autocommit=True, prepare_threshold=0) as connection:
                while not self._over.is_set():
                    self._ask_one(connection, number, *self._one(chance))
        except Exception as error:  # noqa: BLE001  `take` raises it
            self._failed.append(error)

    def _ask_one(self, connection: psycopg.Connection, number: int, statement: str, values: dict[str, Any]) -> None:
        began = time.perf_counter()
        with self._lock:
            self._under_way[number] = began
        connection.execute(statement, values).fetchall()
        with self._lock:
            del self._under_way[number]
            self._longest = max(self._longest, time.perf_counter() - began)
            self._count += 1

    def _one(self, chance: random.Random) -> tuple[str, dict[str, Any]]:
        which = chance.random()
        if which < READS:
            return bare.READ, {"thread": chance.choice(self._of_50), "workspace": self._workspace}
        if which < READS + APPENDS:
            said = {"role": "user", "content": workloads.TEXT}
            return bare.APPEND, {"thread": chance.choice(self._some), "workspace": self._workspace, **said}
        return bare.CREATE, {"agent": self._agent, "user": None, "title": "meanwhile", "metadata": Jsonb({})}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path)
    parser.add_argument("--from", dest="first", default="0035")
    wanted = parser.parse_args()
    with serving.database(wanted.home) as database:
        world = seed.kept(wanted.home)
        assert world is not None, f"nothing was seeded in {wanted.home}"
        from django.core.management import call_command

        call_command("migrate", "threads", wanted.first, verbosity=0)
        with Clients(database, world) as clients:
            time.sleep(BEFORE)
            print("| migration | seconds | statements meanwhile | the longest, ms |\n| --- | ---: | ---: | ---: |")
            _row("(before)", BEFORE, clients)
            _migrate(clients)


def _migrate(clients: Clients) -> None:
    arguments = [sys.executable, str(ROOT / "manage.py"), "migrate", "--no-color"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as migrating:
        assert migrating.stdout is not None
        began = time.perf_counter()
        for line in (each.decode().rstrip() for each in migrating.stdout):
            now = time.perf_counter()
            if line == "Running migrations:":
                clients.take()
                began = now
            elif line.startswith(APPLYING) and line.endswith(APPLIED):
                _row(line.removeprefix(APPLYING).removesuffix(APPLIED), now - began, clients)
                began = now
    assert migrating.returncode == 0, "it failed: see above"
    _row("(after)", time.perf_counter() - began, clients)


def _row(name: str, seconds: float, clients: Clients) -> None:
    count, longest = clients.take()
    print(f"| {name} | {seconds:.1f} | {count:,} | {longest * 1000:.0f} |", flush=True)


if __name__ == "__main__":
    main()
