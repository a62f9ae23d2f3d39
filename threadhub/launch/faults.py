"""What goes wrong before or around a command, as one sentence for the person at the terminal."""

import re

from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, ProgrammingError
from django.db.utils import NotSupportedError

from threadhub.lib.errors import DomainError

# psycopg: `connection failed: connection to server at "10.0.0.1", port 5432 failed: FATAL:  the reason`
_CONNECTION = re.compile(r"connection (?:failed|is bad|timeout expired)|couldn't get a connection|could not translate")
_PLACE = re.compile(r'connection to server (?:at|on socket) (".*?")(?:, port \d+)? failed: ')


def sentence(error: Exception) -> str | None:
    """The sentence, or None for a failure that needs its traceback."""
    match error:
        case DomainError():
            return error.message
        case ImproperlyConfigured():
            return str(error)
        case NotSupportedError() if "is required (found" in str(error):
            return f"{error}."
        case OperationalError() if _CONNECTION.search(str(error)):
            return f"The database cannot be reached ({reason(error)}). Check DATABASE_URL."
        case ProgrammingError() if getattr(error.__cause__, "sqlstate", "") == "42P01":
            return "The database lacks tables: run `manage.py migrate` first, or `manage.py up`, which does it."
        case OSError() if error.filename:
            return f"{error.filename} cannot be used: {error.strerror}."
        case _:
            return None


def reason(error: Exception) -> str:
    """Why a connection failed, in PostgreSQL's or the system's words, without advice and repetition."""
    first = str(error).strip().splitlines()[0]
    place = _PLACE.search(first)
    why = first[place.end() :] if place else first.removeprefix("connection failed: ")
    why = re.sub(r"^(?:FATAL|ERROR):\s+", "", why).rstrip(".")
    return f"{place[1]}: {why}" if place else why
