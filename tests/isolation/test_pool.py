"""Connections of the pool: one that has just worked is given out unasked, one that was cut a while ago never."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from psycopg_pool import ConnectionPool

from threadhub.isolation.backend import pool

SECONDS = 20


@pytest.fixture
def pooled(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(pool, "_trouble_until", 0.0)
    made: Any = connection.copy("pooled")
    made.settings_dict |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True}
    made.settings_dict["OPTIONS"] |= {"pool": {"min_size": 1, "max_size": 1, "timeout": SECONDS}}
    connections["pooled"] = made  # some receivers of Django look it up
    yield made
    made.close()
    made.close_pool()
    del connections["pooled"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The connections that were asked whether they live."""
    seen: list[Any] = []
    original = ConnectionPool.check_connection
    monkeypatch.setattr(ConnectionPool, "check_connection", lambda each: (seen.append(each), original(each)))
    return seen


def process_of(pooled: Any) -> int:
    """Take a connection, ask it for its process, and give it back."""
    with pooled.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    pooled.close()
    return int(pid)


def test_one_that_has_just_worked_is_not_asked(pooled: Any, asked: list[Any]) -> None:
    first = process_of(pooled)
    asked.clear()
    assert [process_of(pooled) for _ in range(3)] == [first] * 3
    assert asked == []


def test_one_that_lay_for_long_is_asked(pooled: Any, asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    first = process_of(pooled)
    asked.clear()
    monkeypatch.setattr(pool, "ASKED_AFTER", -1.0)
    assert process_of(pooled) == first
    assert len(asked) == 1


def test_one_that_was_used_at_this_moment_is_not_even_looked_at(pooled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "LOOKED_AT_AFTER", SECONDS)
    first = process_of(pooled)
    monkeypatch.setattr(pool, "_has_something_to_say", None)  # which cannot be called
    assert process_of(pooled) == first


def test_where_one_was_found_to_be_cut_all_are_looked_at(pooled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "LOOKED_AT_AFTER", SECONDS)
    process_of(pooled)
    looked_at: list[Any] = []
    monkeypatch.setattr(pool, "_has_something_to_say", looked_at.append)
    process_of(pooled)
    assert looked_at == []
    with pytest.raises(OperationalError), pooled.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    pooled.close()
    process_of(pooled)
    process_of(pooled)
    assert looked_at


def test_one_that_was_cut_is_not_given_out(pooled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "LOOKED_AT_AFTER", 0.0)
    first = process_of(pooled)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [first])
        assert cursor.fetchone() == (True,)
    deadline = time.monotonic() + SECONDS
    while not pool._has_something_to_say(pooled.pool._pool[0]) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process_of(pooled) != first
