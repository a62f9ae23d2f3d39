"""Conditions on a column of ids, as `__in`: with all values in one parameter, where thousands would be prepared and
spelled one by one; and with the rows of a subquery, found before anything else."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, F, Func, Lookup


class AnyOf(Lookup):
    """`queryset.filter(AnyOf("pk", ids))`."""

    prepare_rhs = False

    def __init__(self, column: str, ids: Collection[UUID]) -> None:
        super().__init__(F(column), list(ids))

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        column, values = self.process_lhs(compiler, connection)
        return f"{column} = ANY (%s::uuid[])", (*values, self.rhs)


class Among(Func):
    """Whether a key is one of an array's, which is made once. `IN` may become a join, which may follow the order."""

    template = "%(expressions)s)"
    arg_joiner = " = ANY ("
    arity = 2
    output_field = BooleanField()
