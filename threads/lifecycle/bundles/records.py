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
from decimal import Decimal
from functools import cache, partial
from typing import Any
from uuid import UUID

import orjson
from django.contrib.postgres.fields import ArrayField
from django.db import models

from threadhub.lib.errors import Failed
from threads.models import Attachment, Branch, Feedback, Message, Run, Summary, Thread, ToolApproval
from threads.path import Path, PathField

# How records are spelled and ordered, as the manifest says it; one more for what an older release would read wrongly.
FIRST_LAYOUT = LAYOUT = 1
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
# What a row says of its life now, and what of a thread stays in its row anyway, is not part of what is archived.
OF_ITS_LIFE: dict[type[models.Model], tuple[str, ...]] = {
    Thread: (
        "state",
        "updated_about",
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
    ),
    Message: ("searchable",),
}


MANY_DIGITS = re.compile(rb"\d{19}")  # at least so many has an integer beyond 64 bits
RANGE = re.compile(r"\[(\d+),(\d*)\]", re.ASCII)
SMALLEST = (b"{}", b"[]")  # JSON that is as it is
PATH = re.compile(r"\{(\[\d+,\d*\](,\[\d+,\d*\])*)?\}", re.ASCII)
SHOWN = re.compile(rb"[\[(](\d*),(\d*)\)")  # a range as PostgreSQL shows it
# A time as `timestamp` writes it.
MOMENT = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


class BadRecord(Failed, ValueError):
    """A line that is no record of this format."""

    code = "bundle_damaged"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, how its value is written and read.

    For reading many rows the database writes what it can: `json` is SQL for the JSON of a value, NULL for none. Where
    `finish` is, it is SQL for a text of which `finish` makes the JSON.
    For writing many, `send` is the value of a record as COPY takes it; the database reads the rest as it stands.
    """

    name: str
    attribute: str
    write: Callable[[Any], Any] | None
    read: Callable[[Any], Any]
    json: str
    finish: Callable[[bytes], bytes] | None = None
    send: Callable[[Any], Any] | None = None


@cache
def columns(model: type[models.Model]) -> tuple[Column, ...]:
    """The columns of a table that stand in its records."""
    left_out = OF_ITS_LIFE.get(model, ())
    return tuple(_column(field) for field in model._meta.concrete_fields if field.column not in left_out)


def line(kind: str, row: Sequence[Any], layout: Sequence[Column]) -> bytes:
    """A row, as the database gave it in the order of `layout`, as a line."""
    record: dict[str, Any] = {"type": kind}
    for column, value in zip(layout, row, strict=True):
        record[column.name] = value if value is None or column.write is None else column.write(value)
    return encode(record)


def encode(record: dict[str, Any]) -> bytes:
    """A record as a line."""
    try:
        return orjson.dumps(record, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # an integer beyond 64 bits
        members = (_encode(name) + b":" + _encode(value) for name, value in sorted(record.items()))
        return b"{" + b",".join(members) + b"}\n"


def parse(text: bytes) -> dict[str, Any]:
    """A line's record. Raises BadRecord."""
    try:
        record = _loads(text)
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
    name, attribute = field.column, field.attname
    column = partial(Column, name, attribute)
    value = f'part."{name}"'
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    if isinstance(target, models.UUIDField):
        return column(str, UUID, _in_quotes(value))
    if isinstance(target, models.DateTimeField):
        return column(timestamp, datetime.fromisoformat, _in_quotes(MOMENT.format(value)))
    if isinstance(target, models.BinaryField):
        return column(_hex, bytes.fromhex, _in_quotes(f"encode({value}, 'hex')"), send=_hex_sent)
    if isinstance(target, models.JSONField):
        return column(_json, _same, f"{value}::text", _json_finished, _json_sent)
    if isinstance(target, PathField):
        return column(_path, _read_path, f"{value}::text", _path_finished, _path_sent)
    if isinstance(target, models.DecimalField):
        return column(str, Decimal, f"{value}::text", _decimal_finished)
    if isinstance(target, models.IntegerField | models.BooleanField):
        return column(None, _plain, f"{value}::text")
    return column(None, _list if isinstance(target, ArrayField) else _plain, f"to_json({value})::text")


def _in_quotes(value: str) -> str:
    """SQL for a JSON text of what needs no escapes."""
    return f"""'"' || {value} || '"'"""


def _same(value: Any) -> Any:
    return value


def _plain(value: Any) -> Any:
    """A text, a number or a truth value. The driver would make a text of a list."""
    if isinstance(value, dict | list):
        raise ValueError(f"{'an object' if isinstance(value, dict) else 'a list'} stands for a plain value")
    return value


def _list(value: Any) -> Any:
    if not isinstance(value, list):
        raise ValueError("a plain value stands for a list")
    return [_plain(each) for each in value]


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


def _json_finished(text: bytes) -> bytes:
    """What PostgreSQL shows of JSON, as it stands in a line: without spaces, keys sorted."""
    return text if text in SMALLEST else _encode(_loads(text))


def _path_finished(text: bytes) -> bytes:
    ranges = ((int(first or 1), int(end) - 1 if end else None) for first, end in SHOWN.findall(text))
    return b'"%s"' % str(Path(tuple(ranges))).encode()


def _decimal_finished(text: bytes) -> bytes:
    return b'"%s"' % str(Decimal(text.decode())).encode()


def _encode(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _loads(text: str | bytes) -> Any:
    """What json.loads gives, sooner. Raises ValueError."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:  # deeper than it goes, or what JSON proper does not have
        return json.loads(text)
    # Of an integer beyond 64 bits orjson makes a float.
    return json.loads(text) if _has_float(value) and MANY_DIGITS.search(_as_bytes(text)) else value


def _as_bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _has_float(value: Any) -> bool:
    if type(value) is dict:
        value = value.values()
    elif type(value) is not list:
        return type(value) is float
    for each in value:
        kind = type(each)
        if kind is float or ((kind is dict or kind is list) and each and _has_float(each)):
            return True
    return False


def _json_sent(value: Any) -> str:
    if value == {}:
        return "{}"
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(value, ensure_ascii=False)


def _path_sent(text: str) -> str:
    return str(_read_path(text))


def _hex_sent(text: str) -> str:
    return f"\\x{text}"
