"""Remarks beside an answer that is otherwise as asked: the web layer collects them and sends them in a header."""

from contextvars import ContextVar

# One list per request, set by the web layer. Parts of a request that run in a copy of its context share the list.
_collected: ContextVar[list[str] | None] = ContextVar("notices", default=None)


def collect() -> list[str]:
    """A fresh list that takes the remarks from now on, in this context."""
    collected: list[str] = []
    _collected.set(collected)
    return collected


def add(text: str) -> None:
    """Remark something, in printable ASCII; lost where nobody collects."""
    collected = _collected.get()
    if collected is not None and text not in collected:
        collected.append(text)
