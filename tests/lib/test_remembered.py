"""What a process remembers has a bound, an end, and room for whatever was asked for last."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from threadhub.lib import remembered
from threadhub.lib.remembered import Remembered


def test_what_was_not_asked_for_longest_makes_room() -> None:
    kept: Remembered[str, int] = Remembered(2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1
    kept.put("c", 3)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)


def test_the_room_is_a_sum_of_weights_and_nothing_takes_most_of_it() -> None:
    kept: Remembered[str, bytes] = Remembered(160, len)
    kept.put("large", b"x" * 11)
    assert kept.get("large") is None
    for number in range(20):
        kept.put(str(number), b"x" * 10)
    assert len(kept) == 16
    kept.put("19", b"x" * 11)
    assert kept.get("19") is None, "what it was before is not told either"


def test_what_is_old_is_forgotten_whether_or_not_anybody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "SECONDS", 0.05)
    kept: Remembered[str, int] = Remembered(10)
    kept.put("a", 1)
    assert kept.get("a") == 1
    remembered.watch(every_seconds=0.5)
    deadline = time.monotonic() + 10
    while kept._kept._Cache__data and time.monotonic() < deadline:  # type: ignore[attr-defined]  # what is in memory
        time.sleep(0.05)
    assert not kept._kept._Cache__data  # type: ignore[attr-defined]
    assert kept.get("a") is None


def test_all_is_forgotten_at_once() -> None:
    kept: Remembered[str, int] = Remembered(10)
    kept.put("a", 1)
    remembered.forget()
    assert kept.get("a") is None


def test_many_threads_at_once_lose_nothing_but_what_had_no_room() -> None:
    kept: Remembered[int, int] = Remembered(50)

    def work(seed: int) -> None:
        for number in range(2_000):
            key = (number * seed) % 97
            kept.put(key, key)
            assert kept.get(key) in (key, None)

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(work, range(1, 9)))
    assert len(kept) <= 50
