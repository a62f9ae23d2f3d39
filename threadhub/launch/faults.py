"""What goes wrong before or around a command, as one sentence for the person at the terminal."""

import os
import re

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DataError, OperationalError, ProgrammingError
from django.db.utils import NotSupportedError

from threadhub.agents.provider_errors import ProviderError
from threadhub.lib.errors import DomainError

# psycopg's text: `connection failed: connection to server at "10.0.0.1", port 5432 failed: FATAL:  the reason`
_PLACE = re.compile(r'connection to server (?:at|on socket) (".*?")(?:, port \d+)? failed: ')


def sentence(error: Exception) -> str | None:
    """The sentence, or None for a failure that needs its traceback."""
    match error:
        case DomainError() | ProviderError():
            return error.message
        case ImproperlyConfigured():
            return str(error)
        case NotSupportedError() if "is required (found" in str(error):
            return f"{error}."
        case OperationalError() | psycopg.OperationalError() if not _said_by_server(error):
            which = "of DATABASE_URL" if os.environ.get("DATABASE_URL") else f"in {settings.DATA_DIR}"
            return f"The database {which} cannot be reached ({reason(error)})."
        case ProgrammingError() | DataError() if _lacks_tables(error):
            return "The database lacks tables: run `manage.py migrate` first, or `manage.py up`, which does it."
        case OSError() if error.filename:
            return f"{error.filename} cannot be used: {error.strerror}."
        case _:
            return None


def _lacks_tables(error: Exception) -> bool:
    """No such table; or not even the roles that `manage.py migrate` makes beside them."""
    state = getattr(error.__cause__, "sqlstate", "")
    return state == "42P01" or (state == "22023" and 'role "threadhub_' in str(error))


def _said_by_server(error: Exception) -> bool:
    """Whether the server refused a statement. Without its SQLSTATE, or with one of those by which it says that it goes
    (57P01 to 57P05) or that the connection broke (08…), it is the connection that failed."""
    source = error if isinstance(error, psycopg.Error) else error.__cause__
    state = getattr(source, "sqlstate", None)
    return state is not None and not state.startswith(("57P", "08"))


def reason(error: Exception) -> str:
    """Why a connection failed, in PostgreSQL's or the system's words, without advice and repetition."""
    first = str(error).strip().splitlines()[0]
    place = _PLACE.search(first)
    why = first[place.end() :] if place else first.removeprefix("connection failed: ")
    why = re.sub(r"^(?:FATAL|ERROR):\s+", "", why).rstrip(".")
    return f"{place[1]}: {why}" if place else why
