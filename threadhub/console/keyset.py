"""Pages of a list by key: a page costs the same at any depth, and nothing is ever counted.

The cursor is the key of the row at the page's edge, `o` for older than it, `n` for newer: `o1763771523000000.0193a…`
(microseconds and id) or `o.0193a…` (id alone). What is no cursor of ours is the first page.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Model, Q, QuerySet

LOOKED_THROUGH = 20_000  # rows, for one page, where no index tells which of them match
MOST_APART = 30  # workspaces whose newest rows are looked for one by one
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR = re.compile(r"(?P<way>[on])(?P<moment>\d{1,17})?\.(?P<id>[0-9a-f]{32}|\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first, and the cursors of the pages beside this one, where there are any."""

    rows: list[Any]
    newer: str | None
    older: str | None
    looked_through: int | None = None  # so many and no more, before the page was full


def page(
    *,
    queryset: QuerySet[Any],
    cursor: str | None,
    size: int,
    by_time: bool,
    among: QuerySet[Any] | None = None,
    apart: Sequence[UUID] = (),
    either: Sequence[Q] = (),
) -> Page:
    """The page that `cursor` names. `by_time`: by (created_at, id), else by id alone; ids are made in order anyway.

    `among`: the rows that an index finds in this order, where it takes looking at each to know whether it is one of
    `queryset`. Of them the next LOOKED_THROUGH are looked at; the cursors of the page lead on from there.

    `apart`: the workspaces of the rows, where an index has the order within one workspace only. What lies between the
    newest rows of several is then not read, however much it is.

    `either`: conditions of which the rows meet one or another, each with an index of its own; none meets two.
    """
    fields = ("created_at", "pk") if by_time else ("pk",)
    way, edge = _parse(cursor, queryset.model, by_time)
    backwards = way == "n"
    order = [name if backwards else f"-{name}" for name in fields]
    if edge is not None:
        beyond = _beyond(fields, edge, "gt" if backwards else "lt")
        queryset, among = queryset.filter(beyond), among if among is None else among.filter(beyond)
    end = None
    if among is not None:
        end = _end(among.order_by(*order), fields, apart, backwards=backwards)
        queryset = queryset if end is None else queryset.filter(_up_to(fields, end, "lt" if backwards else "gt"))
    rows = first(queryset.order_by(*order), size + 1, apart=apart, either=either)
    more = len(rows) > size
    rows = rows[:size]
    if backwards:
        rows.reverse()
    before = cursor_at("n", rows[0], by_time=by_time) if rows and (more if backwards else edge is not None) else None
    after = cursor_at("o", rows[-1], by_time=by_time) if rows and (edge is not None if backwards else more) else None
    if more or end is None:
        return Page(rows, before, after)
    on = _spelled(way, end, by_time=by_time)
    return Page(rows, on if backwards else before, after if backwards else on, LOOKED_THROUGH)


def first(ordered: QuerySet[Any], count: int, *, apart: Sequence[UUID] = (), either: Sequence[Q] = ()) -> list[Any]:
    """The first rows of a queryset in its order; `apart` and `either` as of `page`."""
    within = [Q(workspace_id=workspace_id) for workspace_id in apart] or [Q()]
    parts = [one & other for one in within for other in either or [Q()]]
    if len(parts) == 1:
        return list(ordered.filter(parts[0])[:count])
    each = [ordered.filter(part).values_list("pk")[:count] for part in parts]
    keys = [pk for (pk,) in each[0].union(*each[1:], all=True)]
    return list(ordered.filter(pk__in=keys)[:count])


def _end(ordered: QuerySet[Any], fields: tuple[str, ...], apart: Sequence[UUID], *, backwards: bool) -> Any:
    """The key of the last row that may be looked at; None: all may. Of each workspace as many as of any other, up to
    where the first of them ends."""
    if len(apart) < 2:
        return ordered.values_list(*fields)[LOOKED_THROUGH - 1 : LOOKED_THROUGH].first()
    share = max(LOOKED_THROUGH // len(apart), 1)
    each = [ordered.filter(workspace_id=one).values_list(*fields)[share - 1 : share] for one in apart]
    return (min if backwards else max)(each[0].union(*each[1:], all=True), default=None)


def _beyond(fields: tuple[str, ...], edge: tuple[Any, ...], lookup: str) -> Q:
    """Rows strictly beyond the edge; the first comparison alone bounds the index scan."""
    if len(fields) == 1:
        return Q((f"{fields[0]}__{lookup}", edge[0]))
    same = Q((f"{fields[1]}__{lookup}", edge[1])) | ~Q((fields[0], edge[0]))
    return Q((f"{fields[0]}__{lookup}e", edge[0])) & same


def _up_to(fields: tuple[str, ...], end: tuple[Any, ...], lookup: str) -> Q:
    """Rows no further than the end, which is among them."""
    if len(fields) == 1:
        return Q((f"{fields[0]}__{lookup}e", end[0]))
    same = Q((f"{fields[1]}__{lookup}e", end[1])) | ~Q((fields[0], end[0]))
    return Q((f"{fields[0]}__{lookup}e", end[0])) & same


def cursor_at(way: str, row: Model, *, by_time: bool) -> str:
    """The cursor of what is older (`o`) or newer (`n`) than a row."""
    return _spelled(way, (row.created_at, row.pk) if by_time else (row.pk,), by_time=by_time)  # type: ignore[attr-defined]


def _spelled(way: str, key: tuple[Any, ...], *, by_time: bool) -> str:
    pk = key[-1].hex if isinstance(key[-1], UUID) else str(key[-1])
    moment = (key[0] - EPOCH) // timedelta(microseconds=1) if by_time else ""
    return f"{way}{moment}.{pk}"


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
