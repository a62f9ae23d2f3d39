"""Querysets whose SQL is worked out once. To build and compile one takes Django longer than PostgreSQL takes to answer
it, which matters where somebody waits for the first word of an answer."""

from collections.abc import Callable
from copy import copy
from functools import update_wrapper
from inspect import signature
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from django.db import connections
from django.db.models import Model, QuerySet
from django.db.models.sql.compiler import SQLCompiler

M = TypeVar("M", bound=Model)


class Compiled(Generic[M]):
    """A function of identifiers and texts that builds a queryset, which is the same but for these; called, its rows.
    For statements on one table and those joined to it: nothing is prefetched."""

    def __init__(self, build: Callable[..., "QuerySet[M, Any]"]) -> None:
        self.build = build
        self.kinds = {name: each.annotation for name, each in signature(build).parameters.items()}
        self._made: _Made | None = None
        update_wrapper(self, build)

    def __call__(self, **values: UUID | str) -> list[Any]:
        """The rows, as the queryset itself gives them."""
        made = self._made or self._make()
        return list(made.queryset_of([values[made.of[at]] if at in made.of else each for at, each in made.parameters]))

    def _make(self) -> "_Made":
        # Values that are found again among the parameters.
        named = {str(uuid4()) if kind is str else uuid4(): name for name, kind in self.kinds.items()}
        made = _Made(self.build(**{name: each for each, name in named.items()}), named)
        missing = self.kinds.keys() - made.of.values()
        assert not missing, f"{missing} are no parameters of the statement"  # noqa: S101
        self._made = made
        return made


class _Made:
    """The statement, and the parts of Django's compiler that read its rows."""

    def __init__(self, queryset: "QuerySet[Any, Any]", named: dict[UUID | str, str]) -> None:
        self.queryset = queryset
        self.compiler: SQLCompiler = queryset.query.get_compiler(using=queryset.db)
        self.sql, parameters = self.compiler.as_sql()
        self.parameters = list(enumerate(parameters))
        self.of = {at: named[each] for at, each in self.parameters if isinstance(each, UUID | str) and each in named}

    def queryset_of(self, parameters: list[Any]) -> "QuerySet[Any, Any]":
        compiler: Any = copy(self.compiler)
        compiler.connection = connections[self.queryset.db]
        compiler.as_sql = lambda *_, **__: (self.sql, tuple(parameters))
        query: Any = copy(self.queryset.query)
        query.get_compiler = lambda *_, **__: compiler
        found: Any = type(self.queryset)(self.queryset.model, query=query, using=self.queryset.db)
        found._iterable_class, found._fields = self.queryset._iterable_class, self.queryset._fields  # type: ignore[attr-defined]
        return found  # type: ignore[no-any-return]
