"""Rows as lines of a bundle, and lines as rows again.

A line is one JSON object in UTF-8 with sorted keys: `type`, then the columns of the row as they are, times as RFC 3339
UTC with microseconds, bytes in hex. So a column that a table gets later is archived without a change here, and a bundle
from before gives it its default.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import orjson
from django.db import models

from threadhub.lib.errors import Failed
from threads.models import Attachment, Branch, Feedback, Message, Run, Summary, Thread, ToolApproval
from threads.path import Path, PathField

# What belongs to a thread, in the order of the lines: each line only points at lines before it.
PARTS: tuple[tuple[str, type[models.Model], str], ...] = (
    ("message", Message, "position"),
    ("attachment", Attachment, "id"),
    ("feedback", Feedback, "id"),
    ("summary", Summary, "from_position"),
    ("run", Run, "number"),
    ("approval", ToolApproval, "id"),
    ("branch", Branch, "number"),
)
# These rows stay where they are too: they hold no words, and say which messages a branch has.
STAYING = ("branch",)
RANK = {"thread": 0, **{kind: number for number, (kind, _, _) in enumerate(PARTS, start=1)}}
# What a thread's row says of its life now, and what stays in it anyway, is not part of what is archived.
OF_ITS_LIFE = (
    "state",
    "archived_at",
    "trashed_at",
    "purge_after",
    "bundle_id",
    "exempt_until",
    "pinned",
    "taken_over_at",
    "taken_over_by_id",
    "assignee_id",
    "labels",
)


RANGE = re.compile(r"\[(\d+),(\d*)\]", re.ASCII)
PATH = re.compile(r"\{(\[\d+,\d*\](,\[\d+,\d*\])*)?\}", re.ASCII)


class BadRecord(Failed, ValueError):
    """A line that is no record of this format."""

    code = "bundle_damaged"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, how its value is written and read."""

    name: str
    attribute: str
    write: Callable[[Any], Any] | None
    read: Callable[[Any], Any]


@cache
def columns(model: type[models.Model]) -> tuple[Column, ...]:
    """The columns of a table that stand in its records."""
    left_out = OF_ITS_LIFE if model is Thread else ()
    return tuple(_column(field) for field in model._meta.concrete_fields if field.column not in left_out)


def line(kind: str, row: Sequence[Any], layout: Sequence[Column]) -> bytes:
    """A row, as the database gave it in the order of `layout`, as a line."""
    record: dict[str, Any] = {"type": kind}
    for column, value in zip(layout, row, strict=True):
        record[column.name] = value if value is None or column.write is None else column.write(value)
    try:
        return orjson.dumps(record, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def parse(text: bytes) -> dict[str, Any]:
    """A line's record. Raises BadRecord."""
    try:
        record = json.loads(text)
    except ValueError as error:
        raise BadRecord("a line is not JSON") from error
    if not isinstance(record, dict) or record.get("type") not in RANK:
        raise BadRecord("a line is of no type that this version knows")
    return record


def values(record: dict[str, Any], model: type[models.Model]) -> dict[str, Any]:
    """The columns of a record, by attribute of the model. Raises BadRecord for one that the table does not have."""
    layout = {column.name: column for column in columns(model)}
    unknown = record.keys() - layout.keys() - {"type"}
    if unknown:
        raise BadRecord(f"this version knows no column {sorted(unknown)[0]!r} of a {record['type']}")
    try:
        return {
            layout[name].attribute: None if value is None else layout[name].read(value)
            for name, value in record.items()
            if name != "type"
        }
    except (ValueError, TypeError, AttributeError) as error:
        raise BadRecord(f"a {record['type']} cannot be read: {error}") from error


def instance(record: dict[str, Any], model: type[models.Model]) -> Any:
    """The record as an object of its model; it stands in no table."""
    return model(**values(record, model))


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, microseconds always."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _column(field: Any) -> Column:
    write: Callable[[Any], Any] | None = None
    read: Callable[[Any], Any] = _same
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    if isinstance(target, models.UUIDField):
        write, read = str, UUID
    elif isinstance(target, models.DateTimeField):
        write, read = timestamp, datetime.fromisoformat
    elif isinstance(target, models.BinaryField):
        write, read = _hex, bytes.fromhex
    elif isinstance(target, models.JSONField):
        write = _json
    elif isinstance(target, PathField):
        write, read = _path, _read_path
    elif isinstance(target, models.DecimalField):
        from decimal import Decimal

        write, read = str, Decimal
    return Column(field.column, field.attname, write, read)


def _same(value: Any) -> Any:
    return value


def _path(value: Any) -> str:
    return str(PathField().from_db_value(value, None, None))


def _read_path(text: str) -> Path:
    """`{[1,4],[11,]}`, as Path writes it."""
    if not PATH.fullmatch(text):
        raise ValueError(f"{text!r} is no path")
    return Path(tuple((int(first), int(last) if last else None) for first, last in RANGE.findall(text)))


def _hex(value: Any) -> str:
    return bytes(value).hex()


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value  # Django's connections give JSON as text
