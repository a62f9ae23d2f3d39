"""Which rows the code that runs now may see: those of named workspaces, or, through a named door, those of all.

What is set here is what PostgreSQL enforces (`backend`): a query that forgot its filter finds the rows of the scope and
no others. Where nothing was set there is nothing to be seen.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from typing import ParamSpec, TypeVar
from uuid import UUID

P = ParamSpec("P")
R = TypeVar("R")


class Door(StrEnum):
    """The only ways past the wall, each for one reason."""

    SIGN_IN = "sign_in"  # who is asking is not known yet: keys, tokens, passwords and sessions are looked up
    MEMBERSHIP = "membership"  # one person's places in several workspaces
    UPKEEP = "upkeep"  # workers' sweeps
    COMMAND = "command"  # somebody at the machine's shell
    CONSOLE = "console"  # superusers in the staff console
    EXAMINATION = "examination"  # health of the installation: counts, no contents


@dataclass(frozen=True, slots=True)
class Scope:
    """`workspaces` that are visible; through a `door` all are. `owner` changes tables, and sees everything."""

    workspaces: tuple[UUID, ...] = ()
    door: Door | None = None
    owner: bool = False


NOWHERE = Scope()
_current: ContextVar[Scope] = ContextVar("threadhub_scope", default=NOWHERE)


def current() -> Scope:
    """The scope of the code that runs now."""
    return _current.get()


def enter(*workspaces: UUID) -> None:
    """From here to the end of the present context (a request's, a job's): these workspaces."""
    _current.set(Scope(workspaces))


def enter_door(door: Door) -> None:
    """From here to the end of the present context: all workspaces."""
    _current.set(Scope(door=door))


@contextmanager
def within(*workspaces: UUID) -> Iterator[None]:
    """These workspaces, for a while."""
    with _set(Scope(workspaces)):
        yield


@contextmanager
def through(door: Door) -> Iterator[None]:
    """All workspaces, for a reason that has a name."""
    with _set(Scope(door=door)):
        yield


@contextmanager
def nowhere() -> Iterator[None]:
    """Nothing, until somebody is known: how every request begins. What was entered meanwhile ends with it."""
    with _set(NOWHERE):
        yield


@contextmanager
def as_owner() -> Iterator[None]:
    """As the owner of the tables, for migrations."""
    with _set(Scope(owner=True)):
        yield


def by_door(door: Door) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A function that always goes through this door."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def scoped(*args: P.args, **kwargs: P.kwargs) -> R:
            with through(door):
                return function(*args, **kwargs)

        return scoped

    return decorate


def spelled(workspaces: Iterable[UUID]) -> str:
    """As the setting `threadhub.scope` has it: ids with commas between them."""
    return ",".join(map(str, workspaces))


@contextmanager
def _set(scope: Scope) -> Iterator[None]:
    token = _current.set(scope)
    try:
        yield
    finally:
        _current.reset(token)
