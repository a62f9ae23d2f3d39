"""Pages of the `ai` dialect: a bare array, `limit` rows from page `page` on. What is not a number means the default."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from threads.models import Thread
from threads.querysets import sorted_pages
from threads.querysets.threads import ThreadQuerySet

LIMIT, MAX_LIMIT = 50, 100
MAX_OFFSET = 2**31  # beyond lies nothing, and PostgreSQL's own limit


class Pages(BasePagination):
    """`limit` (50, at most 100) and `page` (from 1)."""

    limit = LIMIT

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: Any = None
    ) -> list[Any]:
        """The rows of the page asked for; none past the end."""
        limit = min(positive(request.query_params.get("limit"), self.limit), MAX_LIMIT)
        offset = (positive(request.query_params.get("page"), 1) - 1) * limit
        return self.rows(queryset, offset, limit) if offset < MAX_OFFSET else []

    def rows(self, found: Any, offset: int, limit: int) -> list[Any]:
        """The rows from `offset` on, at most `limit`."""
        return list(found[offset : offset + limit])

    def get_paginated_response(self, data: Any) -> Response:
        return Response(data)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return schema

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """`limit` and `page`, as OpenAPI knows them."""
        return [
            _parameter("limit", f"At most this many; at most {MAX_LIMIT}.", default=self.limit),
            _parameter("page", "Which page, from 1.", default=1),
        ]


class ThreadPages(Pages):
    """Of any order, and any depth."""

    def rows(self, found: ThreadQuerySet, offset: int, limit: int) -> list[Thread]:
        return sorted_pages.page(found, offset=offset, limit=limit)


class AgentPages(Pages):
    """All agents of most workspaces fit on one page."""

    limit = MAX_LIMIT


def positive(text: str | None, default: int) -> int:
    """The whole number in `text`, or `default` for anything but one from 1 on."""
    if not text or not text.isascii() or not text.isdigit() or len(text) > 18:
        return default
    return int(text) or default


def _parameter(name: str, description: str, **schema: int) -> dict[str, Any]:
    integer = {"type": "integer", **schema}
    return {"name": name, "in": "query", "required": False, "description": description, "schema": integer}
