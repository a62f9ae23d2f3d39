"""The product's own processes, on the database of the test: web servers and workers that can be killed.

What a test sees through the ORM is what they see; what it asserts is what they left.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
from django.conf import settings
from django.db import connection

from tests.hub import ROOT, clean_environment, free_port

SECONDS = 90  # a busy machine; nothing here waits so long on an idle one
LEASE_SECONDS = 2


@dataclass
class Process:
    """One process of the product, leader of its own group."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def kill(self) -> None:
        """`kill -9` of it and its children."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def end(self) -> int:
        """SIGTERM, and its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


@dataclass
class Web(Process):
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/health", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


def database_url() -> str:
    """The test's database, over the socket of the embedded server."""
    where = connection.settings_dict
    return f"postgres://{where['USER']}@{quote(where['HOST'], safe='')}:{where['PORT']}/{where['NAME']}"


def environment(**variables: str) -> dict[str, str]:
    own = {
        "DATABASE_URL": database_url(),
        "THREADHUB_DATA_DIR": str(settings.DATA_DIR),
        "SECRET_KEY": settings.SECRET_KEY,
        "RUN_LEASE_SECONDS": str(LEASE_SECONDS),
        "DATABASE_POOL_SECONDS": str(SECONDS),  # two hundred who want one lock take their time on a busy machine
        "TOOL_ALLOWED_NETWORKS": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }
    return {**clean_environment(), **own, **variables}


@contextmanager
def web(directory: Path, **variables: str) -> Iterator[Web]:
    """A web server; not ready yet."""
    port = free_port()
    command = ["-m", "threadhub.launch.web", "--port", str(port)]
    with _started(command, directory / f"web-{port}", variables) as (process, log):
        started = Web(process, log, port)
        try:
            yield started
        finally:
            started.kill()


@contextmanager
def webs(directory: Path, number: int, **variables: str) -> Iterator[list[Web]]:
    """Several web servers that answer."""
    with ExitStack() as stack:
        started = [stack.enter_context(web(directory, **variables)) for _ in range(number)]
        for each in started:
            until(each.answers)
        yield started


@contextmanager
def worker(directory: Path, **variables: str) -> Iterator[Process]:
    """A worker, killed at the end if it still runs."""
    name = f"worker-{time.monotonic_ns()}"
    with _started([str(ROOT / "manage.py"), "work", "--lifeline"], directory / name, variables) as (process, log):
        started = Process(process, log)
        try:
            yield started
        finally:
            started.kill()


@contextmanager
def _started(
    words: list[str], log: Path, variables: dict[str, str]
) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.PIPE,  # a lifeline: it ends with the tests, however they end
            stdout=output,
            stderr=output,
            env=environment(**variables),
            start_new_session=True,
        )
        try:
            yield process, log
        finally:
            if process.stdin:
                process.stdin.close()


def until(true: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait for something that will be so. AssertionError when it is not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def end_backends_of_the_dead() -> None:
    """What PostgreSQL does once it notices that a client is dead: here at once, for all that wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
