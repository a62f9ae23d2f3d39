"""Querysets whose SQL is worked out once, by Django and by PostgreSQL. To build and compile one takes longer than to
answer it, which matters where somebody waits for the first word of an answer."""

import re
from collections.abc import Callable
from copy import copy
from functools import update_wrapper
from inspect import signature
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from django.db import connections
from django.db.models import Model, QuerySet
from django.db.models.sql.compiler import SQLCompiler
from django.db.transaction import TransactionManagementError
from psycopg import sql
from psycopg.pq import Format

PLACE = re.compile("%[s%]")

M = TypeVar("M", bound=Model)


class NotCompilable(TypeError):
    """A queryset makes something else of a value than a parameter."""


class Compiled(Generic[M]):
    """A function of identifiers and texts that builds a queryset, which is the same but for these; called, its rows.
    For statements on one table and those joined to it: nothing is prefetched. Raises NotCompilable."""

    def __init__(self, build: Callable[..., "QuerySet[M, Any]"]) -> None:
        self.build = build
        self.kinds = {name: each.annotation for name, each in signature(build).parameters.items()}
        self._made: _Made | None = None
        update_wrapper(self, build)

    def __call__(self, **values: UUID | str) -> list[Any]:
        """The rows, as the queryset itself gives them."""
        made = self._made or self._make()
        return list(made.queryset_of([values[name] for name in made.names]))

    def _make(self) -> "_Made":
        made, again = self._compile(), self._compile()
        if self.kinds.keys() - set(made.names) or made.sql != again.sql:
            raise NotCompilable(f"{self.build}: some of its values are no parameters of the statement as they are.")
        self._made = made
        return made

    def _compile(self) -> "_Made":
        # Values that are found again among the parameters.
        named = {str(uuid4()) if kind is str else uuid4(): name for name, kind in self.kinds.items()}
        return _Made(self.build(**{name: each for each, name in named.items()}), named)


class _Made:
    """The statement, and the parts of Django's compiler that read its rows."""

    def __init__(self, queryset: "QuerySet[Any, Any]", named: dict[UUID | str, str]) -> None:
        self.queryset = queryset
        self.compiler: SQLCompiler = queryset.query.get_compiler(using=queryset.db)
        statement, parameters = self.compiler.as_sql()
        self.compiler.connection = None  # that of the thread which came first
        self.names: list[str] = []  # of the values that the statement waits for, in its order
        left = iter(parameters)
        self.sql = PLACE.sub(
            lambda place: place[0] if place[0] == "%%" else self._spelled(next(left), named), statement
        )

    def _spelled(self, value: Any, named: dict[UUID | str, str]) -> str:
        """What is the same each time stands in the statement: PostgreSQL then knows its type, and plans with it."""
        if isinstance(value, UUID | str) and value in named:
            self.names.append(named[value])
            return "%s"
        return sql.Literal(value).as_string().replace("%", "%%")

    def queryset_of(self, parameters: list[Any]) -> "QuerySet[Any, Any]":
        compiler: Any = copy(self.compiler)
        compiler.connection = _Prepared(connections[self.queryset.db])
        if self.queryset.query.select_for_update and compiler.connection.get_autocommit():
            raise TransactionManagementError("Rows are locked within a transaction only.")
        compiler.as_sql = lambda *_, **__: (self.sql, tuple(parameters))
        query: Any = copy(self.queryset.query)
        query.get_compiler = lambda *_, **__: compiler
        found: Any = type(self.queryset)(self.queryset.model, query=query, using=self.queryset.db)
        found._iterable_class, found._fields = self.queryset._iterable_class, self.queryset._fields  # type: ignore[attr-defined]
        return found  # type: ignore[no-any-return]


class _Prepared:
    """A connection whose cursors prepare what comes again."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> Any:
        return self._connection.prepared_cursor(Format.TEXT)
