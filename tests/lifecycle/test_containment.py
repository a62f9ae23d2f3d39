"""The resolver's containment of metadata is PostgreSQL's, by which threads are looked for."""

import json
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from threads.lifecycle.resolver import contains

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from(
        [0.0, -0.0, 1.0, 1.5, 2**53, 2**53 + 1, 10**30, 1e300, "", "a", "A", "1", "true", "null", "ä", "ä"]
    ),
)
KEYS = st.sampled_from(["a", "b", "", "1"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=3)
CONTAINED = """
SELECT ARRAY(SELECT (pair -> 0) @> (pair -> 1) FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS p (pair, n)
              ORDER BY n)
"""


@st.composite
def a_part(draw: Any, whole: Any) -> Any:
    """Something like it with less in it, so that it is often contained."""
    if isinstance(whole, dict):
        return {key: draw(a_part(value)) for key, value in whole.items() if draw(st.booleans())}
    if isinstance(whole, list) and whole:
        chosen = draw(st.lists(st.sampled_from(whole), max_size=3))
        return [draw(a_part(each)) for each in chosen]
    return whole if draw(st.integers(0, 9)) else draw(SCALARS)


PAIRS = st.one_of(st.tuples(OBJECTS, OBJECTS), OBJECTS.flatmap(lambda whole: st.tuples(st.just(whole), a_part(whole))))


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PAIRS, min_size=20, max_size=20))
def test_it_holds_where_the_database_says_so(pairs: list[tuple[Any, Any]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(CONTAINED, [json.dumps(pairs)])
        (said,) = cursor.fetchone()
    assert [contains(whole, part) for whole, part in pairs] == said


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("whole", "part", "holds"),
    [
        ({"a": ["x", "y"]}, {"a": ["y"]}, True),
        ({"a": ["x"]}, {"a": "x"}, False),
        ({"a": [["x"]]}, {"a": ["x"]}, False),
        ({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}, {"c": 2}]}, True),
        ({"a": True}, {"a": 1}, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": None}, {}, True),
        ({}, {"a": None}, False),
        ({"a": 2**53 + 1}, {"a": 2**53}, False),
    ],
)
def test_both_agree_on(whole: Any, part: Any, holds: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb @> %s::jsonb", [json.dumps(whole), json.dumps(part)])
        assert (cursor.fetchone()[0], contains(whole, part)) == (holds, holds)
