"""The server process: is there one, starting one, stopping it. The caller holds the start lock throughout."""

import os
import signal
import time
from dataclasses import dataclass

from threadhub.embedded import binaries, cluster, configuration, detached, identity, process, server_log, sockets
from threadhub.embedded.errors import DiskFull, EmbeddedPostgresError
from threadhub.embedded.layout import Layout
from threadhub.embedded.locks import FileLock, is_free

# Crash recovery replays at most max_wal_size; what takes longer than this, even on a slow disk, hangs.
READY_SECONDS = 300
STOP_SECONDS = 60
UNSEEN_SECONDS = 5
# How long children of a killed server may take to notice: milliseconds when idle, for ever when busy.
ORPHAN_SECONDS = 3
POLL_SECONDS = 0.01


class DidNotStart(EmbeddedPostgresError):
    """The embedded PostgreSQL did not start."""

    code = "embedded_postgres_not_started"


class ForeignServer(EmbeddedPostgresError):
    """A PostgreSQL that was started by other means serves this data directory."""

    code = "embedded_postgres_foreign_server"


@dataclass(frozen=True)
class PidFile:
    """What a server says of itself in `postmaster.pid`. It stays behind when the server is killed."""

    pid: int
    started: str
    status: str

    @classmethod
    def read(cls, layout: Layout) -> "PidFile | None":
        """None when there is no such file, or it is being written."""
        try:
            lines = (layout.cluster / "postmaster.pid").read_text(errors="replace").splitlines()
            return cls(int(lines[0]), lines[2], lines[7].strip() if len(lines) > 7 else "")
        except (FileNotFoundError, NotADirectoryError, IndexError, ValueError):
            return None

    def is_same_start(self, other: "PidFile | None") -> bool:
        return other is not None and (self.pid, self.started) == (other.pid, other.started)


def ensure_ready(layout: Layout, *, durable: bool, start_lock: FileLock) -> int:
    """Wait for the running server or start one; return its process id once it accepts connections."""
    deadline = time.monotonic() + READY_SECONDS
    if pid := _join(layout, deadline):
        return pid
    before = PidFile.read(layout)
    offset = _start(layout, durable=durable, start_lock=start_lock)
    while time.monotonic() < deadline:
        found = PidFile.read(layout)
        if found and found.status == "ready" and not found.is_same_start(before):
            return found.pid
        if is_free(layout.server_lock):
            raise _did_not_start(layout, offset)
        time.sleep(POLL_SECONDS)
    raise DidNotStart(f"The embedded PostgreSQL did not accept connections within {READY_SECONDS} seconds.")


def stop(layout: Layout) -> bool:
    """Shut the server down fast but orderly and wait for its last process. False when that took too long."""
    started = time.monotonic()
    told = 0
    while not is_free(layout.server_lock):
        found = PidFile.read(layout)
        if found and found.pid != told and process.is_server(found.pid, layout):
            process.send(found.pid, signal.SIGINT)
            told = found.pid
        # A server that cannot be seen, as one in another container, is not ours to wait for.
        if time.monotonic() - started > (STOP_SECONDS if told else UNSEEN_SECONDS):
            return False
        time.sleep(POLL_SECONDS)
    sockets.remove(layout)
    return True


def _join(layout: Layout, deadline: float) -> int:
    """Wait until the server that is there is ready and return its process id; 0 if there is none."""
    orphan_deadline = time.monotonic() + ORPHAN_SECONDS
    while time.monotonic() < deadline:
        if is_free(layout.server_lock):
            return 0
        found = PidFile.read(layout)
        here = found is not None and process.is_server(found.pid, layout)
        if found and found.status == "ready" and (here or sockets.accepts(layout)):
            sockets.check(layout)
            return found.pid
        if not here and time.monotonic() > orphan_deadline:
            # They would keep a new server from its shared memory. Nothing is lost: crash recovery follows.
            for pid in process.left_over(layout):
                process.send(pid, signal.SIGKILL)
            orphan_deadline += ORPHAN_SECONDS
        time.sleep(POLL_SECONDS)
    raise DidNotStart(f"The embedded PostgreSQL did not become ready within {READY_SECONDS} seconds.")


def _start(layout: Layout, *, durable: bool, start_lock: FileLock) -> int:
    """Start a server, creating its cluster if need be; return where in the log its own words begin."""
    programs = binaries.find()
    exists = cluster.check_version(layout, programs)
    with FileLock(layout.server_lock) as server_lock:
        server_lock.wait_exclusive(ORPHAN_SECONDS)
        who = identity.choose(layout, programs.postgres)
        if not exists:
            cluster.create(layout, programs, who, durable=durable, start_lock=start_lock)
        _remove_stale_pid_file(layout)
        sockets.prepare(layout, who)
        configuration.write(layout.cluster, programs, who)
        offset = server_log.cut(layout.log)
        log = server_log.open_for_append(layout.log)
        try:
            who.adopt(log)
            detached.spawn(
                [str(programs.postgres), *configuration.arguments(layout, durable=durable)],
                identity=who,
                output=log,
                inherit=server_lock.file,
                env=detached.environment(),
            )
        finally:
            os.close(log)
    return offset


def _remove_stale_pid_file(layout: Layout) -> None:
    """PostgreSQL takes any living process with its old id for itself; only the launcher can tell them apart.

    An id that nobody has is left to PostgreSQL, which then also looks for shared memory in use.
    Raises ForeignServer when a server is there that the launcher did not start.
    """
    found = PidFile.read(layout)
    if found and process.is_server(found.pid, layout):
        raise ForeignServer(
            f"A PostgreSQL that threadhub did not start (process {found.pid}) serves {layout.cluster}; stop it first."
        )
    if found is None or process.exists(found.pid):
        (layout.cluster / "postmaster.pid").unlink(missing_ok=True)


def _did_not_start(layout: Layout, offset: int) -> EmbeddedPostgresError:
    said = server_log.read_from(layout.log, offset)
    if server_log.NO_SPACE in said:
        return DiskFull("There is no space left on the disk for the embedded PostgreSQL to start.")
    cause = server_log.cause_in(said) or "it said nothing"
    return DidNotStart(f"The embedded PostgreSQL did not start: {cause} (log: {layout.log}).")
