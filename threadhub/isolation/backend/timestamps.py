"""Timestamps of Django's cursors, which PostgreSQL sends as text.

psycopg's reader of text is written in Python and takes three microseconds for each; Python's own, of ISO 8601, is in C
and takes a tenth. What that does not know (before our era, after the year 9999, `infinity`, another time zone) is read
by psycopg's.
"""

from datetime import UTC, datetime
from typing import Any

from django.db.backends.postgresql.psycopg_any import BaseTzLoader


class TimestampLoader(BaseTzLoader):  # type: ignore[misc]  # no stub
    timezone = UTC

    def load(self, data: Any) -> datetime:
        if data[-3:] == b"+00":
            try:
                return datetime.fromisoformat(str(data, "ascii"))
            except ValueError:
                pass
        read: datetime = super().load(data)
        return read
