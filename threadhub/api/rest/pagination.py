"""Pages of a list, newest first or oldest first: counted by `skip`, or followed by opaque cursors of equal cost at
any depth. A cursor is a place between two rows, signed, good for one list of one workspace in one order."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db.models import Q, QuerySet
from django.http import QueryDict
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from threadhub.api.rest.filters import parameter
from threadhub.lib import remembered
from threadhub.lib.errors import Invalid
from threads.thread_rows import Page

TAKE = 50
MAX_TAKE = 100
MAX_SKIP = 10_000
MAX_DIGITS = 18
# A query whose names are plain; its values may be escaped.
SPELLED = re.compile(r"(?:&|[\w.-]+=(?:[\w.~*+-]|%[0-9A-Fa-f]{2})*(?![^&]))*", re.ASCII)
PLACES = ("skip", "cursor", "after", "before")  # parameters that say where in a list
WHOLE_NUMBER = {"type": "integer", "minimum": 0}  # in the OpenAPI document


@dataclass(frozen=True, slots=True)
class Place:
    """Beside which row (None: the very end) a page stands, and on which side of it."""

    backwards: bool
    key: tuple[datetime, UUID] | None


def whole_number(request: Request, name: str, default: int) -> int:
    """A query parameter that counts something: ASCII digits only. Raises Invalid."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise Invalid.at("query", name, msg=f"{name} must be a whole number, 0 or more.", type="int_parsing")
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= MAX_DIGITS else 10**MAX_DIGITS


def read_take(request: Request, default: int = TAKE) -> int:
    """`take`, at most MAX_TAKE."""
    return min(whole_number(request, "take", default), MAX_TAKE)


def read_order(request: Request, default: str = "desc") -> str:
    """`order`: asc or desc."""
    order = request.query_params.get("order", default)
    if order not in ("asc", "desc"):
        raise Invalid.at("query", "order", msg="order must be asc or desc.", type="enum")
    return order


def address(request: Request, **changes: str) -> str:
    """The absolute URL of the same list with the same filters, elsewhere in it."""
    url, sent = request.build_absolute_uri(request.path), request.META["QUERY_STRING"]
    spell = _spelled if len(sent) <= remembered.SHORT else _elsewhere
    return spell(url, sent, tuple(changes.items()))


def _elsewhere(url: str, sent: str, changes: tuple[tuple[str, str], ...]) -> str:
    gone = {*PLACES, *dict(changes)}
    if SPELLED.fullmatch(sent):  # as an address has it: not taken apart and put together again
        kept = "&".join(pair for pair in sent.split("&") if pair and pair.partition("=")[0] not in gone)
    else:
        lists = QueryDict(sent).lists()
        kept = urlencode([(name, value) for name, values in lists if name not in gone for value in values])
    query = "&".join(filter(None, (kept, urlencode(changes, safe=":"))))
    return f"{url}?{query}" if query else url


_spelled = remembered.results(1024)(_elsewhere)  # the same page of the same list is asked for again and again


class KeysetPagination(BasePagination):
    """`count, has_more, next, previous, data`, ordered by (created_at, id)."""

    names = ("skip", "take", "order", "cursor")
    next: str | None
    previous: str | None

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """The rows of the asked page; what the envelope needs stays on the paginator. Raises Invalid."""
        skip, place = self._begin(request, view)
        self.count = self.rows_in(queryset)
        if self.take == 0:
            return []
        if place is not None and place.backwards:
            return self._page_before(queryset, place)
        return self._page_after(queryset, place, skip)

    def page_of_rows(self, read: Callable[..., Page | None], request: Request, view: Any) -> Page | None:
        """The same by `read(ascending=, skip=, rows=)`, for a page that no cursor was given for. None: paginate the
        queryset. Raises Invalid."""
        skip, place = self._begin(request, view)
        if place is not None or self.take == 0:
            return None
        page = read(ascending=self.order == "asc", skip=skip, rows=self.take + 1)
        if page is None:
            return None
        self.count, rows = page.count, page.rows[: self.take]
        if len(page.rows) > self.take:
            self.next = self._link(backwards=False, row=rows[-1])
        if skip:
            self.previous = self._link(backwards=True, row=rows[0])
        return replace(page, rows=rows)

    def _begin(self, request: Request, view: Any) -> tuple[int, Place | None]:
        """What is asked for. Raises Invalid."""
        self.request = request
        self.take, self.order = read_take(request), read_order(request)
        self.salt = f"threadhub.rest:{type(view).__name__}:{view.actor.workspace_id}:{self.order}"
        self.next = self.previous = None
        return read_skip(request), self._place(request)

    def rows_in(self, queryset: QuerySet[Any]) -> int | None:
        """How many rows the whole list has; None where that is not told."""
        return queryset.count()

    def envelope(self, data: Any) -> dict[str, Any]:
        """The page around its rows."""
        return {
            "count": self.count,
            "has_more": self.next is not None,
            "next": self.next,
            "previous": self.previous,
            "data": data,
        }

    def get_paginated_response(self, data: Any) -> Response:
        return Response(self.envelope(data))

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return envelope_schema(schema, count={"type": "integer", "minimum": 0}, next=link, previous=link)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            parameter("skip", "Rows to skip.", type="integer", minimum=0, maximum=MAX_SKIP, default=0),
            take_parameter(),
            parameter("order", "By creation.", type="string", enum=["asc", "desc"], default="desc"),
            parameter("cursor", "From `next` or `previous` of another page; not together with skip.", type="string"),
        ]

    def _page_after(self, queryset: QuerySet[Any], place: Place | None, skip: int) -> list[Any]:
        key = place.key if place else None
        rows = list(self._after(queryset, key)[skip : skip + self.take + 1])
        more, rows = len(rows) > self.take, rows[: self.take]
        if more:
            self.next = self._link(backwards=False, row=rows[-1])
        if not rows:
            self.previous = self._link(backwards=True, row=None) if (skip or place) and self._any(queryset) else None
        elif skip or (place and self._before(queryset, _key(rows[0])).exists()):
            self.previous = self._link(backwards=True, row=rows[0])
        return rows

    def _page_before(self, queryset: QuerySet[Any], place: Place) -> list[Any]:
        rows = list(self._before(queryset, place.key)[: self.take + 1])
        more, rows = len(rows) > self.take, rows[: self.take][::-1]
        if more:
            self.previous = self._link(backwards=True, row=rows[0])
        if not rows:
            self.next = address(self.request) if self._any(queryset) else None
        elif place.key and self._after(queryset, _key(rows[-1])).exists():
            self.next = self._link(backwards=False, row=rows[-1])
        return rows

    def _any(self, queryset: QuerySet[Any]) -> bool:
        return queryset.exists() if self.count is None else self.count > 0

    def _after(self, queryset: QuerySet[Any], key: tuple[datetime, UUID] | None) -> QuerySet[Any]:
        return _beyond(queryset, key, ascending=self.order == "asc")

    def _before(self, queryset: QuerySet[Any], key: tuple[datetime, UUID] | None) -> QuerySet[Any]:
        return _beyond(queryset, key, ascending=self.order == "desc")

    def _link(self, *, backwards: bool, row: Any) -> str:
        key = _key(row) if row is not None else None
        return address(self.request, cursor=_cursor(settings.SECRET_KEY, self.salt, "b" if backwards else "f", key))

    def _place(self, request: Request) -> Place | None:
        text = request.query_params.get("cursor")
        if text is None:
            return None
        if "skip" in request.query_params:
            raise Invalid.at("query", "skip", msg="Use skip or cursor, not both.")
        try:
            direction, key = signing.Signer(salt=self.salt).unsign_object(text)
        except signing.BadSignature as error:
            message = "This cursor is not one of this list in this order; take it from next or previous."
            raise Invalid.at("query", "cursor", msg=message, type="cursor_invalid") from error
        return Place(direction == "b", (datetime.fromisoformat(key[0]), UUID(key[1])) if key else None)


class UncountedPagination(KeysetPagination):
    """The same without `count`, for what only ever becomes more: to count it would be to read all of it."""

    def rows_in(self, queryset: QuerySet[Any]) -> int | None:
        return None

    def envelope(self, data: Any) -> dict[str, Any]:
        page = super().envelope(data)
        del page["count"]
        return page

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        whole = super().get_paginated_response_schema(schema)
        whole["required"].remove("count")
        del whole["properties"]["count"]
        return whole


@remembered.results(1024)
def _cursor(secret: str, salt: str, direction: str, key: tuple[datetime, UUID] | None) -> str:
    place = [direction, (key[0].isoformat(), key[1].hex) if key is not None else None]
    return signing.Signer(key=secret, salt=salt).sign_object(place)


def read_skip(request: Request, limit: int = MAX_SKIP) -> int:
    """`skip`, which may not go arbitrarily deep: the database would walk over all of it. Raises Invalid."""
    skip = whole_number(request, "skip", 0)
    if skip > limit:
        message = f"skip may be at most {limit}; to go deeper, follow the cursor in next of a page."
        raise Invalid.at("query", "skip", msg=message, type="skip_too_deep")
    return skip


def take_parameter(default: int = TAKE) -> dict[str, Any]:
    description = f"Rows to return; more than {MAX_TAKE} counts as {MAX_TAKE}."
    return parameter("take", description, type="integer", minimum=0, default=default)


def envelope_schema(schema: dict[str, Any], **first: dict[str, Any]) -> dict[str, Any]:
    """The envelope around an array, as OpenAPI writes it."""
    properties = {**first, "has_more": {"type": "boolean"}, "data": schema}
    return {"type": "object", "required": sorted(properties), "properties": properties}


def _key(row: Any) -> tuple[datetime, UUID]:
    return row.created_at, row.pk


def _beyond(queryset: QuerySet[Any], key: tuple[datetime, UUID] | None, *, ascending: bool) -> QuerySet[Any]:
    """The rows after `key` in the given direction, in that direction; all of them where there is no key."""
    ordered = queryset.order_by("created_at", "id") if ascending else queryset.order_by("-created_at", "-id")
    if key is None:
        return ordered
    moment, id = key
    # The first condition is implied by the second; it is what lets PostgreSQL start inside the index.
    if ascending:
        return ordered.filter(Q(created_at__gte=moment) & (Q(created_at__gt=moment) | Q(id__gt=id)))
    return ordered.filter(Q(created_at__lte=moment) & (Q(created_at__lt=moment) | Q(id__lt=id)))
