"""How far a command is, on standard error: a bar on a terminal, one line per batch in a log."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from django.core.management.base import OutputWrapper
from tqdm import tqdm


class Progress(Protocol):
    """Is called with how many are done; told the total once it is known."""

    def __call__(self, done: int) -> None: ...

    def expect(self, total: int) -> None: ...


class Lines:
    """For a log."""

    def __init__(self, what: str, out: OutputWrapper) -> None:
        self.what = what
        self.out = out

    def __call__(self, done: int) -> None:
        self.out.write(f"{self.what}: {done}")

    def expect(self, total: int) -> None:
        """The report tells it."""


class Bar(tqdm):  # type: ignore[misc]  # it has no types
    """For a terminal. Without a total: a count and a rate."""

    monitor_interval = 0  # no thread of its own: a batch is said when it is done

    def __call__(self, done: int) -> None:
        self.update(done - self.n)

    def expect(self, total: int) -> None:
        self.total = total
        self.refresh()


@contextmanager
def shown(what: str, out: OutputWrapper, *, total: int | None, silent: bool) -> Iterator[Progress]:
    """What people or a log see until the work is over or has failed; what is written next has a line of its own."""
    if not out.isatty():
        yield Lines(what, out)
        return
    file: Any = out._out  # what is written through Django's wrapper ends its line
    with Bar(desc=what, total=total, unit=" threads", file=file, dynamic_ncols=True, disable=silent) as bar:
        yield bar
