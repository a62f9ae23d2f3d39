"""The database backend of every installation, which here first makes sure that the embedded server runs.

    DATABASES = {"default": {
        "ENGINE": "threadhub.embedded.backend",
        "THREADHUB_DATA_DIR": DATA_DIR,
        "THREADHUB_DURABLE": True,
        **embedded.connection_settings(DATA_DIR),
    }}

The two keys are Django's to carry and never reach psycopg. Pools, test databases and `dbshell` work as usual.
"""

import atexit
import os
import shutil
from collections.abc import Iterable
from typing import Any

from django.db.backends.postgresql import base as postgresql
from django.db.backends.postgresql.client import DatabaseClient as PostgresClient

from threadhub.embedded import binaries, server
from threadhub.isolation.backend import base


class DatabaseClient(PostgresClient):
    """`dbshell`, with the psql of the embedded PostgreSQL where the machine has none."""

    def runshell(self, parameters: Iterable[str]) -> None:
        server.ensure_running_for(self.connection.settings_dict)
        super().runshell(parameters)

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Iterable[str]
    ) -> tuple[list[str], dict[str, str] | None]:
        arguments, env = super().settings_to_cmd_args_env(settings_dict, parameters)
        if not shutil.which(cls.executable_name):
            arguments[0] = str(binaries.find().psql)
        return arguments, env


class DatabaseWrapper(base.DatabaseWrapper):
    client_class = DatabaseClient

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        server.ensure_running_for(self.settings_dict)
        return super().get_new_connection(conn_params)


def _close_pools(process: int) -> None:
    """A pool fills itself in the background: it must not meet the stopped server at the end of a short command.

    Only where it was made: in a forked child its sockets are still the parent's.
    """
    if os.getpid() == process:
        for pool in postgresql.DatabaseWrapper._connection_pools.values():  # type: ignore[attr-defined]  # no stub
            pool.close()


# After the server's own registration, which importing it has done: the last registered runs first.
atexit.register(_close_pools, os.getpid())
