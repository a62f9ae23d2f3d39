import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.embedded import people
from tests.embedded.conftest import NewUser

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="what root does is for root to test")


def owners(directory: Path) -> set[int]:
    return {path.lstat().st_uid for path in [directory, *directory.rglob("*")]}


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A data directory that does not exist yet, where any user can reach it, unlike pytest's own."""
    parent = Path(tempfile.mkdtemp(prefix="threadhub-test-"))
    parent.chmod(0o755)
    yield parent / "data"
    people.kill_all(parent / "data")
    shutil.rmtree(parent)


@pytest.fixture
def contained(tmp_path: Path) -> dict[str, Any]:
    """How a user starts in a container: without user namespaces, and root may not look into others' processes."""
    (tmp_path / "bin").mkdir()
    if setpriv := shutil.which("setpriv"):
        (tmp_path / "bin" / "setpriv").symlink_to(setpriv)
    return {
        "env": {"PATH": str(tmp_path / "bin")},
        "prefix": (setpriv or "setpriv", "--bounding-set=-sys_ptrace,-sys_admin"),
    }


def test_what_it_makes_belongs_to_whom_starts_it(new_dir: Path, new_user: NewUser) -> None:
    """Root included, where user namespaces work; the tests below are about where they do not."""
    new_user().ensure()
    assert owners(new_dir) == {os.geteuid()}
    assert Path(f"/proc/{people.server_pid(new_dir)}").stat().st_uid == os.geteuid()


@as_root
def test_root_without_user_namespaces_runs_it_as_nobody(
    reachable: Path, new_user: NewUser, contained: dict[str, Any]
) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    user = new_user(reachable, **contained)
    user.ensure()
    assert people.ask(reachable, "SELECT 1") == 1
    assert Path(f"/proc/{people.server_pid(reachable)}").stat().st_uid == nobody
    assert owners(reachable / "postgres") == {nobody}
    assert reachable.stat().st_uid == 0, "only what is PostgreSQL's changes hands"
    user.leave()
    assert not people.servers(reachable)
    again = new_user(reachable)  # now with user namespaces: it stays who it was
    again.ensure()
    assert owners(reachable / "postgres") == {nobody}


@as_root
def test_a_closed_directory_above_stays_closed(data_dir: Path, new_user: NewUser, contained: dict[str, Any]) -> None:
    above = data_dir.parent
    above.chmod(0o700)
    user = new_user(**contained)
    user.ensure()
    assert people.ask(data_dir, "SELECT 1") == 1
    assert above.stat().st_mode & 0o777 == 0o700
    user.leave()
    assert not people.servers(data_dir)


@as_root
def test_a_killed_server_of_nobodys_is_replaced(reachable: Path, new_user: NewUser, contained: dict[str, Any]) -> None:
    user = new_user(reachable, **contained)
    user.ensure()
    with people.connect(reachable) as connection:
        # Stopped, the child of the server cannot notice that its parent dies.
        os.kill(connection.info.backend_pid, signal.SIGSTOP)
        people.kill_server(reachable)
        user.ensure()
    assert people.ask(reachable, "SELECT 1") == 1
    user.leave()
    assert not people.servers(reachable)


@as_root
def test_root_that_cannot_become_anybody_is_told_so(data_dir: Path, new_user: NewUser, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    error, sentence = new_user(env={"PATH": "/nowhere"}).refusal()
    assert error == "NoIdentity"
    assert sentence.startswith("PostgreSQL refuses to run as root, and no other user can reach both ")


@as_root
def test_somebodys_directory_stays_theirs_when_root_uses_it(reachable: Path, new_user: NewUser) -> None:
    reachable.mkdir()
    os.chown(reachable, 1000, 1000)
    root = new_user(reachable)
    root.ensure()
    assert Path(f"/proc/{people.server_pid(reachable)}").stat().st_uid == 1000
    root.leave()
    assert owners(reachable) == {1000}
    # The capability is for a clone below a closed directory; this user has no other right of root's.
    setpriv = ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups")
    capability = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    themselves = new_user(reachable, prefix=(*setpriv, *capability))
    themselves.ensure()
    assert people.ask(reachable, "SELECT 1") == 1
    themselves.leave()
    assert not people.servers(reachable)


@as_root
def test_a_directory_of_roots_can_be_moved_to_where_only_nobody_can_run_it(
    reachable: Path, new_user: NewUser, contained: dict[str, Any]
) -> None:
    first = new_user(reachable)
    first.ensure()
    with people.connect(reachable) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    first.leave()
    new_user(reachable, **contained).ensure()
    assert people.ask(reachable, "SELECT answer FROM kept") == 42
    assert owners(reachable / "postgres") == {pwd.getpwnam("nobody").pw_uid}
