"""The whole product, started as a user starts it, for tests that talk to it over the network.

`hub` is one running `manage.py up` per test process: its own port, its own data directory, the `echo`
provider. `other_workspace` is the same hub seen with the key of a second workspace.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import processes

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120
STOP_SECONDS = 30
CHECKPOINT_SECONDS = 30  # so long PostgreSQL may still write, once it was told to end, where disks are busy
# The hub starts as on a machine where nothing was ever set: neither who runs the tests nor the settings of the test
# run may reach it. An empty value also keeps that of a `.env` file out.
KEPT_VARIABLES = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
OWN_VARIABLES = {"THREADHUB_PROVIDER": "echo", "DATABASE_URL": ""}


class HubFailed(Exception):
    """The product did not start, did not say what it must, or did not end; the text holds its own words."""


@dataclass
class Hub:
    """What `up --json` (or `create_workspace --json`) printed, and requests with that workspace's API key."""

    url: str
    admin_url: str
    docs_url: str
    chat_url: str | None
    workspace_id: str
    agent_id: str
    api_key: str
    username: str
    password: str
    admin_username: str
    admin_password: str
    data_dir: Path = field(default=Path(), kw_only=True)
    client: httpx.Client = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Long enough for a slow answer; no proxy of the environment stands between a test and loopback.
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def credentials(self) -> dict[str, str]:
        """The fields as the command printed them, for a client in another language."""
        return {name: getattr(self, name) for name in WIRE_FIELDS}

    def request(self, method: str, path: str, *, token: str | None = None, **options: Any) -> httpx.Response:
        """One request with the API key, or with `token`; `token=""` sends no credentials at all."""
        return self.client.request(method, path, **self._with_token(token, options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def patch(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def stream(
        self, path: str, *, token: str | None = None, method: str = "POST", **options: Any
    ) -> AbstractContextManager[httpx.Response]:
        """A request that asks for `text/event-stream`; the body is read inside the `with`."""
        options["headers"] = {"accept": "text/event-stream", **options.get("headers", {})}
        return self.client.stream(method, path, **self._with_token(token, options))

    def _with_token(self, token: str | None, options: dict[str, Any]) -> dict[str, Any]:
        token = self.api_key if token is None else token
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return {**options, "headers": {**headers, **options.get("headers", {})}}


WIRE_FIELDS = [each.name for each in fields(Hub) if each.init and each.name != "data_dir"]


def clean_environment() -> dict[str, str]:
    """What a person's shell has, and the choice of `echo`."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return {**kept, **OWN_VARIABLES}


def free_port() -> int:
    """A TCP port of loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def read_line(path: Path, process: subprocess.Popen[bytes]) -> str:
    """The first whole line that the process writes to `path`. Raises HubFailed when it ends or is late."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        line, newline, _ = path.read_text().partition("\n")
        if newline:
            return line
        if process.poll() is not None:
            raise HubFailed(f"ended with exit status {process.returncode} before it was ready")
        time.sleep(0.05)
    raise HubFailed(f"said nothing in {START_SECONDS} seconds")


def parse(line: str, *, data_dir: Path, **changes: str) -> Hub:
    """The hub behind one `--json` line. Raises HubFailed naming what is missing."""
    try:
        said: Mapping[str, Any] = json.loads(line)
    except json.JSONDecodeError as error:
        raise HubFailed(f"printed something that is not JSON: {line!r}") from error
    values = {**said, **changes}
    missing = [name for name in WIRE_FIELDS if not isinstance(values.get(name), str) and name != "chat_url"]
    if missing:
        raise HubFailed(f"printed no {', '.join(missing)} in {line}")
    return Hub(**{name: values.get(name) for name in WIRE_FIELDS}, data_dir=data_dir)


def stop(process: subprocess.Popen[bytes], data_dir: Path) -> None:
    """SIGTERM, as a service manager sends it. Raises HubFailed when it stays, or leaves a process behind."""
    started = processes.descendants(process.pid) | processes.working_in(data_dir)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired as error:
        for one in (*started, *processes.descendants(process.pid)):
            processes.kill(one)
        process.kill()
        process.wait()
        raise HubFailed(f"still ran {STOP_SECONDS} seconds after SIGTERM") from error
    left = _left(started, data_dir)
    deadline = time.monotonic() + CHECKPOINT_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left = _left(started, data_dir)
    names = [processes.command_of(one) for one in left]
    for one in left:
        processes.kill(one)
    if left:
        raise HubFailed(f"ended and left behind: {'; '.join(names)}")
    if process.returncode != 0:
        raise HubFailed(f"ended with exit status {process.returncode} after SIGTERM")


def _left(started: set[processes.Process], data_dir: Path) -> list[processes.Process]:
    return [one for one in started | processes.working_in(data_dir) if processes.is_alive(one)]


@contextmanager
def running(data_dir: Path, *, logs: Path, environment: Mapping[str, str] | None = None) -> Iterator[Hub]:
    """`manage.py up --json` on a free port while the `with` lasts; what it prints goes to files in `logs`.

    Raises HubFailed when it does not come up, does not end, or leaves a process behind.
    """
    out, err = logs / "stdout", logs / "stderr"
    address = ["--host", "127.0.0.1", "--port", str(free_port())]
    command = [sys.executable, "manage.py", "up", "--json", *address, "--data-dir", str(data_dir)]
    variables = {**clean_environment(), **(environment or {})}
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=variables
        )
    try:
        hub = parse(read_line(out, process), data_dir=data_dir)
        with hub.client:
            yield hub
    finally:
        if process.poll() is None:
            stop(process, data_dir)


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The running product; ended, and its end checked, after the last test."""
    home = tmp_path_factory.mktemp("hub")
    try:
        with running(home / "data", logs=home) as started:
            yield started
    except HubFailed as error:
        pytest.fail(f"`manage.py up` {error}\n{(home / 'stderr').read_text()}", pytrace=False)


def new_workspace(hub: Hub, name: str) -> Hub:
    """Another workspace of the same hub, with its own agent, key and user."""
    command = [sys.executable, "manage.py", "create_workspace", name, "--json"]
    done = subprocess.run(
        [*command, "--data-dir", str(hub.data_dir)],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    try:
        if done.returncode != 0:
            raise HubFailed(f"ended with exit status {done.returncode}")
        line = done.stdout.splitlines()[-1] if done.stdout else ""
        # The command does not know where the running server listens.
        return parse(line, data_dir=hub.data_dir, url=hub.url)
    except HubFailed as error:
        pytest.fail(f"`manage.py create_workspace` {error}\n{done.stderr}", pytrace=False)


@pytest.fixture(scope="session")
def other_workspace(hub: Hub) -> Iterator[Hub]:
    """A second workspace of the same hub."""
    other = new_workspace(hub, "Other")
    with other.client:
        yield other
