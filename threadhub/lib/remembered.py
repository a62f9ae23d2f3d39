"""What a process keeps in memory of what it read or wrote out a moment ago: bounded, and not for long. Whoever
remembers sees to it that it is still true; that it is gone from memory some minutes after it was deleted is seen to
here.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar
from weakref import WeakSet

from cachetools import TTLCache

K = TypeVar("K")
V = TypeVar("V")

SECONDS = 300.0
SHARE = 16  # nothing takes more than this part of the room

_all: "WeakSet[Remembered[object, object]]" = WeakSet()


class Remembered(Generic[K, V]):
    """A mapping that threads share. `room` is the sum of what `weigh` says of its values, or how many there are."""

    def __init__(self, room: int, weigh: Callable[[V], int] = lambda value: 1) -> None:
        self.weigh = weigh
        self._lock = threading.Lock()
        self._kept: TTLCache[K, V] = TTLCache(room, SECONDS, timer=time.monotonic, getsizeof=weigh)
        _all.add(self)  # type: ignore[arg-type]  # what it holds is of no account there

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


def forget() -> None:
    """All of everything, as in a process that starts anew."""
    for each in list(_all):
        each.forget()


def watch(every_seconds: float) -> threading.Thread:
    """Forget what is old from now on, as long as this process lives."""

    def work() -> None:
        while True:
            time.sleep(every_seconds)
            for each in list(_all):
                each.forget_old()

    thread = threading.Thread(target=work, name="remembered", daemon=True)
    thread.start()
    return thread
