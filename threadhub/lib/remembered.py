"""What a process keeps in memory of what it read or wrote out a moment ago: bounded, and not for long. Whoever
remembers sees to it that it is still true; that it is gone from memory some minutes after it was deleted is seen to
here.
"""

import threading
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast
from weakref import WeakSet

from cachetools import TTLCache

K = TypeVar("K")
V = TypeVar("V")
F = TypeVar("F", bound=Callable[..., Any])

SECONDS = 300.0
SHORT = 256  # characters of a text, up to which it is worth remembering what it leads to
SHARE = 16  # nothing takes more than this part of the room

_all: "WeakSet[Remembered[Any, Any]]" = WeakSet()


class Remembered(Generic[K, V]):
    """A mapping that threads share. `room` is the sum of what `weigh` says of its values, or how many there are."""

    def __init__(self, room: int, weigh: Callable[[V], int] = lambda value: 1) -> None:
        self.weigh = weigh
        self._lock = threading.Lock()
        self._kept: TTLCache[K, V] = TTLCache(room, SECONDS, timer=time.monotonic, getsizeof=weigh)
        _all.add(self)

    def get(self, key: K) -> V | None:
        return self.get_all((key,))[0]

    def get_all(self, keys: Iterable[K]) -> list[V | None]:
        """Of each key its value, in their order."""
        with self._lock:
            return [self._get(key) for key in keys]

    def put(self, key: K, value: V) -> None:
        """The value, unless it is too large to be remembered; what was not asked for longest makes room."""
        with self._lock:
            self._kept.pop(key, None)
            if self.weigh(value) * SHARE <= max(self._kept.maxsize, SHARE):
                self._kept[key] = value

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()

    def forget_old(self) -> None:
        """What is older than SECONDS, whether or not anybody asks."""
        with self._lock:
            self._kept.expire()

    def __len__(self) -> int:
        with self._lock:
            return len(self._kept)

    def _get(self, key: K) -> V | None:
        try:  # the library's own `get` looks for each key twice
            return self._kept[key]
        except KeyError:
            return None


class _Results:
    """The results of a function, all of which are forgotten together after SECONDS."""

    def __init__(self, cached: Any) -> None:
        self.cached = cached
        self.since = time.monotonic()

    def forget(self) -> None:
        self.cached.cache_clear()
        self.since = time.monotonic()

    def forget_old(self) -> None:
        if time.monotonic() - self.since > SECONDS:
            self.forget()


_results: list[_Results] = []


def _everything() -> "list[Remembered[Any, Any] | _Results]":
    return [*_all, *_results]


def results(room: int) -> Callable[[F], F]:
    """Of a function of what cannot change: as `functools.lru_cache` of so many, and not for long either."""

    def decorate(function: F) -> F:
        cached: Any = lru_cache(maxsize=room)(function)
        _results.append(_Results(cached))
        return cast("F", cached)

    return decorate


def forget() -> None:
    """All of everything, as in a process that starts anew."""
    for each in _everything():
        each.forget()


def watch(every_seconds: float) -> threading.Thread:
    """Forget what is old from now on, as long as this process lives."""

    def work() -> None:
        while True:
            time.sleep(every_seconds)
            for each in _everything():
                each.forget_old()

    thread = threading.Thread(target=work, name="remembered", daemon=True)
    thread.start()
    return thread
