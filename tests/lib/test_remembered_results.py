"""Results of functions are remembered for a while, and not for long."""

import pytest

from threadhub.lib import remembered


def test_what_was_worked_out_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[int] = []

    @remembered.results(8)
    def twice(number: int) -> int:
        worked.append(number)
        return 2 * number

    (kept,) = (each for each in remembered._results if each.cached is twice)
    assert [twice(1), twice(1), twice(2)] == [2, 2, 4]
    assert worked == [1, 2]
    kept.forget_old()
    assert (twice(1), worked) == (2, [1, 2])
    monkeypatch.setattr(remembered, "SECONDS", 0.0)
    kept.forget_old()
    assert (twice(1), worked) == (2, [1, 2, 1])
    remembered.forget()
    assert (twice(1), worked) == (2, [1, 2, 1, 1])
    remembered._results.remove(kept)
