"""Pages of a list by key: a page costs the same at any depth, and nothing is ever counted.

The cursor is the key of the row at the page's edge, `o` for older than it, `n` for newer: `o1763771523000000.0193a…`
(microseconds and id) or `o.0193a…` (id alone). What is no cursor of ours is the first page.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Model, Q, QuerySet

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR = re.compile(r"(?P<way>[on])(?P<moment>\d{1,17})?\.(?P<id>[0-9a-f]{32}|\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first, and the cursors of the pages beside this one, where there are any."""

    rows: list[Any]
    newer: str | None
    older: str | None


def page(*, queryset: QuerySet[Any], cursor: str | None, size: int, by_time: bool) -> Page:
    """The page that `cursor` names. `by_time`: by (created_at, id), else by id alone; ids are made in order anyway."""
    fields = ("created_at", "pk") if by_time else ("pk",)
    way, edge = _parse(cursor, queryset.model, by_time)
    if edge is not None:
        queryset = queryset.filter(_beyond(fields, edge, "lt" if way == "o" else "gt"))
    backwards = way == "n"
    rows = list(queryset.order_by(*(name if backwards else f"-{name}" for name in fields))[: size + 1])
    more = len(rows) > size
    rows = rows[:size]
    if backwards:
        rows.reverse()
    has_newer = more if backwards else edge is not None
    has_older = edge is not None if backwards else more
    return Page(
        rows,
        cursor_at("n", rows[0], by_time=by_time) if rows and has_newer else None,
        cursor_at("o", rows[-1], by_time=by_time) if rows and has_older else None,
    )


def _beyond(fields: tuple[str, ...], edge: tuple[Any, ...], lookup: str) -> Q:
    """Rows strictly beyond the edge; the first comparison alone bounds the index scan."""
    if len(fields) == 1:
        return Q((f"{fields[0]}__{lookup}", edge[0]))
    same = Q((f"{fields[1]}__{lookup}", edge[1])) | ~Q((fields[0], edge[0]))
    return Q((f"{fields[0]}__{lookup}e", edge[0])) & same


def cursor_at(way: str, row: Model, *, by_time: bool) -> str:
    """The cursor of what is older (`o`) or newer (`n`) than a row."""
    key = row.pk.hex if isinstance(row.pk, UUID) else str(row.pk)
    moment = (row.created_at - EPOCH) // timedelta(microseconds=1) if by_time else ""  # type: ignore[attr-defined]
    return f"{way}{moment}.{key}"


def _parse(cursor: str | None, model: type[Model], by_time: bool) -> tuple[str, tuple[Any, ...] | None]:
    match = CURSOR.fullmatch(cursor or "")
    if match is None or bool(match["moment"]) != by_time:
        return "o", None
    try:
        key = model._meta.pk.to_python(UUID(match["id"]) if len(match["id"]) == 32 else int(match["id"]))
        edge = (EPOCH + timedelta(microseconds=int(match["moment"])), key) if by_time else (key,)
    except (ValueError, OverflowError, TypeError):
        return "o", None
    return match["way"], edge
