"""JSON that something behind would lose or choke on is refused on the way in."""

import pytest

from threadhub.lib import json


@pytest.mark.parametrize("text", ["1e999", '{"a": [-1e400]}', "123456789e310"])
def test_a_number_beyond_all_floats_is_refused(text: str) -> None:
    with pytest.raises(json.RefusedJSON):
        json.loads(text.encode())


def test_other_floats_are_kept() -> None:
    assert json.loads(b"[1.5, -2e300, 1e-999]") == [1.5, -2e300, 0.0]
