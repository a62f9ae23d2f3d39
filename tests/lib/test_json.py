"""JSON that something behind would lose or choke on is refused on the way in."""

from typing import Any

import pytest

from threadhub.lib import json


@pytest.mark.parametrize("text", ["1e999", '{"a": [-1e400]}', "123456789e310"])
def test_a_number_beyond_all_floats_is_refused(text: str) -> None:
    with pytest.raises(json.RefusedJSON):
        json.loads(text.encode())


def test_other_floats_are_kept() -> None:
    assert json.loads(b"[1.5, -2e300, 1e-999]") == [1.5, -2e300, 0.0]


def refused(text: str) -> bool:
    try:
        json.loads(text.encode())
    except json.RefusedJSON:
        return True
    return False


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("MAX_DEPTH", lambda number: "[" * number + "]" * number),
        ("MAX_DEPTH", lambda number: '{"a":' * number + "1" + "}" * number),
        ("MAX_TEXT", lambda number: f'["{"a" * number}"]'),
        ("MAX_ITEMS", lambda number: f"[{','.join(['1'] * number)}]"),
        ("MAX_KEYS", lambda number: "{" + ",".join(f'"{key}":1' for key in range(number)) + "}"),
    ],
)
def test_a_limit_holds_to_the_unit(name: str, body: Any) -> None:
    most = getattr(json, name)
    assert not refused(body(most))
    assert refused(body(most + 1))


def test_all_values_together_are_limited() -> None:
    inner = f"[{','.join(['1'] * 90_000)}]"
    assert not refused(f"[{','.join([inner] * 5)}]")
    assert refused(f"[{','.join([inner] * 6)}]")


def test_brackets_and_commas_in_texts_are_no_structure() -> None:
    assert json.loads(b'["' + b"[{," * 100_000 + b'"]') == ["[{," * 100_000]
    assert json.loads(b'["' + b'\\"[' * 100_000 + b'"]') == ['"[' * 100_000]


def test_a_text_without_an_end_is_read_once() -> None:
    """From each quote in it to the end would take hours."""
    with pytest.raises(json.MalformedJSON):
        json.loads(b"[" * 10 + b"[]" * 100 + b'"' + b'\\"' * 2_000_000)


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', "[NaN]", "[Infinity]", "[-Infinity]", '["\\u0000"]', '["\\ud800"]'])
def test_what_would_be_lost_is_refused(text: str) -> None:
    assert refused(text)


def test_large_integers_survive_or_are_refused() -> None:
    for number in (2**64 - 1, -(2**63), 2**53 + 1):
        assert json.loads(f"[{number}]".encode()) == [number]
    assert refused(f"[{2**64}]")
    assert refused(f"[{-(2**63) - 1}]")


def test_a_float_that_came_back_as_an_integer_is_told_as_a_float() -> None:
    told = json.dumps_stored({"a": [int(1e300), 2**64, -(2**63) - 1, 2**64 - 1]})
    assert json.loads(told) == {"a": [1e300, 2.0**64, -(2.0**63), 2**64 - 1]}
    assert len(told) < 100
    with pytest.raises(TypeError):
        json.dumps(int(1e300))
