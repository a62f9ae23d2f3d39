"""PostgreSQL's settings: a file for what an operator may change, arguments for what the launcher relies on.

The file is written anew at each start; `ALTER SYSTEM` (postgresql.auto.conf) is read after it and wins.
"""

import os
from pathlib import Path

from threadhub.embedded.binaries import Binaries
from threadhub.embedded.identity import Identity
from threadhub.embedded.layout import PORT, Layout

FILE_NAME = "threadhub.conf"
# For one machine that also runs web processes and workers, from a laptop to a small server.
TUNING = {
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",  # bounds how long recovery takes after a crash
    # A page's first change after a checkpoint writes all of it. Compressing that by pglz, the only way that every build
    # has, takes 0.2 ms of processor time: most of what removing archived messages cost.
    "wal_compression": "off",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than it saves in queries of milliseconds
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "log_autovacuum_min_duration": "-1",
    "lc_messages": "C",  # the launcher reads the log
    # What is erased must not live on in a log: no statement, no value, no key of a violated constraint.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
}
# Only for data that may be lost with the machine, as in tests.
FAST_AND_UNSAFE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum_naptime": "5min",
    "max_connections": "400",  # whole hubs, each with pools of its own, share the server of a test run
}


def include_in(cluster: Path) -> None:
    """Make PostgreSQL read the launcher's file after its own `postgresql.conf`."""
    with (cluster / "postgresql.conf").open("a") as file:
        file.write(f"\ninclude_if_exists = '{FILE_NAME}'\n")


def write(cluster: Path, binaries: Binaries, identity: Identity) -> None:
    """Write the launcher's settings for these binaries into the cluster."""
    values = dict(TUNING)
    if binaries.has_library("pg_stat_statements"):
        values["shared_preload_libraries"] = "pg_stat_statements"
    lines = ["# Written at each start. Change settings with ALTER SYSTEM, which wins over this file."]
    lines += [f"{name} = '{value}'" for name, value in values.items()]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with open(os.open(cluster / FILE_NAME, flags, 0o644), "w") as file:
        identity.adopt(file.fileno())
        file.write("\n".join(lines) + "\n")


def arguments(layout: Layout, *, durable: bool) -> list[str]:
    """The command line of `postgres`: no TCP, its socket where clients look for it."""
    quoted = '"{}"'.format(str(layout.socket_directory).replace('"', '""'))
    fixed = {
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": quoted,
        "unix_socket_permissions": "0700",
        "logging_collector": "off",
        **({} if durable else FAST_AND_UNSAFE),
    }
    return ["-D", str(layout.cluster), *(f"--{name}={value}" for name, value in fixed.items())]
