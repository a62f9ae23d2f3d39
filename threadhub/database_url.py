"""DATABASE_URL as Django's connection settings, and its faults as sentences that name it."""

from typing import Any
from urllib.parse import unquote

import environ
from django.core.exceptions import ImproperlyConfigured

SCHEMES = ("postgres", "postgresql")
EXAMPLE = "postgres://user:password@host:5432/name"


def parse(url: str) -> dict[str, Any]:
    """The connection settings of a URL. Raises ImproperlyConfigured with one sentence that never shows the password."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise ImproperlyConfigured(f"DATABASE_URL must look like {EXAMPLE}; threadhub runs on PostgreSQL only.")
    try:
        found: dict[str, Any] = dict(environ.Env.db_url_config(url))
    except ValueError as error:
        raise ImproperlyConfigured(f"DATABASE_URL must look like {EXAMPLE}: its port is not a number.") from error
    if not found.get("NAME"):
        raise ImproperlyConfigured(f"DATABASE_URL must look like {EXAMPLE}: it names no database.")
    found["HOST"] = unquote(str(found["HOST"]))  # the directory of a socket: %2Frun%2Fpostgresql
    found["ENGINE"] = "threadhub.isolation.backend"
    return found
