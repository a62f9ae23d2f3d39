"""Embedded PostgreSQL: found, created, started and shared without anyone starting it by hand."""

from threadhub.embedded.errors import EmbeddedPostgresError
from threadhub.embedded.layout import socket_directory
from threadhub.embedded.server import connection_settings, ensure_running, ensure_running_for, release

__all__ = [
    "EmbeddedPostgresError",
    "connection_settings",
    "ensure_running",
    "ensure_running_for",
    "release",
    "socket_directory",
]
