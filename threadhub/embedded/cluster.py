"""Making PostgreSQL's data directory: in a place of its own, renamed only when it is complete."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence

from threadhub.embedded import configuration
from threadhub.embedded.binaries import Binaries
from threadhub.embedded.detached import environment
from threadhub.embedded.errors import DirectoryUnusable, DiskFull, EmbeddedPostgresError
from threadhub.embedded.identity import Identity
from threadhub.embedded.layout import Layout
from threadhub.embedded.locks import FileLock
from threadhub.embedded.server_log import NO_SPACE, cause_in

DATABASE = "threadhub"
ROLE = "threadhub"
STAGING = "initializing-"
# initdb takes about half a second; minutes mean a disk that does not answer.
CREATE_SECONDS = 300
# The builtin provider sorts and folds the same on every machine; it exists since PostgreSQL 17.
BUILTIN_PROVIDER_MAJOR = 17


class OtherMajorVersion(EmbeddedPostgresError):
    """The data directory was made by another major version of PostgreSQL."""

    code = "embedded_postgres_version"


class NotCreated(EmbeddedPostgresError):
    """The database could not be created."""

    code = "embedded_postgres_not_created"


def check_version(layout: Layout, binaries: Binaries) -> bool:
    """Whether a cluster exists. Raises OtherMajorVersion when these binaries cannot run it."""
    version_file = layout.cluster / "PG_VERSION"
    if not version_file.exists():
        if layout.cluster.exists() and any(layout.cluster.iterdir()):
            raise DirectoryUnusable(f"{layout.cluster} holds files but is not a data directory of PostgreSQL.")
        return False
    made_by = version_file.read_text().strip()
    if made_by != str(binaries.major):
        raise OtherMajorVersion(
            f"{layout.cluster} was made by PostgreSQL {made_by}, but {binaries.directory} is PostgreSQL"
            f" {binaries.major}: set THREADHUB_PG_BIN to the programs of PostgreSQL {made_by}."
        )
    return True


def create(layout: Layout, binaries: Binaries, identity: Identity, *, durable: bool, start_lock: FileLock) -> None:
    """Make the cluster with its role and its database. Raises NotCreated or DiskFull.

    The programs inherit the start lock: should this process be killed, whoever comes next waits until
    they have ended, and only then clears what they left.
    """
    for leftover in layout.root.glob(f"{STAGING}*"):
        shutil.rmtree(leftover)
    staging = layout.root / f"{STAGING}{secrets.token_hex(4)}"
    programs = _Programs(identity, start_lock)
    try:
        _initialize(programs, binaries, str(staging))
        programs.run(
            [
                str(binaries.postgres),
                "--single",
                "-F",
                "-D",
                str(staging),
                "-c",
                "exit_on_error=on",
                "template1",
            ],
            read=f"CREATE DATABASE {DATABASE}\n",
        )
        configuration.include_in(staging)
        if durable:
            programs.run([str(binaries.initdb), "--sync-only", "-D", str(staging)])
        staging.rename(layout.cluster)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    _sync(layout)


def _initialize(programs: "_Programs", binaries: Binaries, directory: str) -> None:
    command = [str(binaries.initdb), "-D", directory, f"--username={ROLE}", "--encoding=UTF8"]
    # The socket lies in a private directory; whoever can reach it can also read the files.
    command += [
        "--auth-local=trust",
        "--auth-host=reject",
        "--data-checksums",
        "--no-instructions",
        "--no-sync",
    ]
    if binaries.major >= BUILTIN_PROVIDER_MAJOR:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    try:
        programs.run([*command, "--locale=C.UTF-8"])
    except NotCreated as error:
        # A system library without C.UTF-8. Only the classes of letters in full-text search suffer.
        if "locale" not in error.message:
            raise
        shutil.rmtree(directory, ignore_errors=True)
        programs.run([*command, "--locale=C"])


class _Programs:
    """Runs the programs that make a cluster."""

    def __init__(self, identity: Identity, lock: FileLock) -> None:
        self.identity = identity
        self.lock = lock

    def run(self, command: Sequence[str], *, read: str = "") -> None:
        """Raises NotCreated with the program's own reason, or DiskFull."""
        try:
            done = subprocess.run(
                self.identity.wrap(command),
                input=read,
                text=True,
                errors="replace",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(self.lock.file,),
                start_new_session=True,
                cwd="/",
                env=environment(),
                timeout=CREATE_SECONDS,
                **self.identity.switch(),
            )
        except subprocess.TimeoutExpired as error:
            raise NotCreated(f"{command[0]} did not end within {CREATE_SECONDS} seconds.") from error
        if done.returncode == 0:
            return
        if NO_SPACE in done.stdout:
            raise DiskFull("There is no space left on the disk to create the embedded PostgreSQL.")
        cause = cause_in(done.stdout) or f"exit status {done.returncode}"
        raise NotCreated(f"The database could not be created: {cause}.")


def _sync(layout: Layout) -> None:
    """Make the rename itself durable."""
    directory = os.open(layout.root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
