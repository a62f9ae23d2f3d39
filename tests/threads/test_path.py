"""Paths: ranges of positions that are cut, and go on elsewhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from threads.path import WHOLE, Path

PATH = Path(((1, 4), (11, 12), (20, None)))


def test_it_is_cut_at_a_position() -> None:
    assert PATH.until(11) == Path(((1, 4), (11, 11)))
    assert PATH.until(4) == PATH.until(10) == Path(((1, 4),))
    assert PATH.until(30) == Path(((1, 4), (11, 12), (20, 30)))
    assert WHOLE.until(0) == Path()


def test_it_goes_on_elsewhere_or_where_it_ended() -> None:
    assert Path(((1, 4),)).going_on_from(7) == Path(((1, 4), (7, None)))
    assert Path(((1, 4),)).going_on_from(5) == WHOLE
    assert Path().going_on_from(5) == Path(((5, None),))


def test_it_knows_its_neighbours() -> None:
    assert [PATH.next_after(position) for position in (0, 4, 11, 12, 25)] == [1, 11, 12, 20, 26]
    assert [PATH.last_before(position) for position in (1, 5, 11, 15, 20, 25)] == [0, 4, 4, 12, 12, 24]
    assert Path(((1, 4),)).next_after(4) is None
    assert (PATH.last, Path().last, Path(((1, 4),)).last) == (None, 0, 4)


def test_it_is_spelled_as_postgresql_reads_it() -> None:
    assert str(PATH) == "{[1,4],[11,12],[20,]}"
    assert str(Path()) == "{}"


@given(cuts=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5)), max_size=6), position=st.integers(1, 60))
def test_its_gaps_are_what_it_leaves_out_before_its_end(cuts: list[tuple[int, int]], position: int) -> None:
    path, last = WHOLE, 30
    for cut, beyond in cuts:
        path, last = path.until(min(cut, last)).going_on_from(last + 1), last + beyond
    assert (position in path) == (position not in path.gaps)
    closed = path.until(last)
    if closed.last and position <= closed.last:
        assert (position in closed) == (position not in closed.gaps)


@pytest.mark.parametrize("path", [WHOLE, PATH, PATH.until(11), Path(((5, None),))])
def test_what_is_in_it_is_before_its_end_and_in_no_gap(path: Path) -> None:
    for position in range(1, 40):
        ended = path.last is not None and position > path.last
        assert (position in path) == (not ended and position not in path.gaps)
