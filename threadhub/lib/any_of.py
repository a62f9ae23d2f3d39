"""A condition on a column of ids, as `__in`, with all values in one parameter: thousands of them are not prepared and
spelled one by one."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import F, Lookup


class AnyOf(Lookup):
    """`queryset.filter(AnyOf("pk", ids))`."""

    prepare_rhs = False

    def __init__(self, column: str, ids: Collection[UUID]) -> None:
        super().__init__(F(column), list(ids))

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        column, values = self.process_lhs(compiler, connection)
        return f"{column} = ANY (%s::uuid[])", (*values, self.rhs)
