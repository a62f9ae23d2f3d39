"""Connections of the pool: one that has just worked is given out unasked, one that was cut a while ago never."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, connections
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from threadhub.isolation.backend import pool

SECONDS = 20
MANY = 7  # connections: more than can be tried one by one in that time


@pytest.fixture
def size() -> int:
    return 1


@pytest.fixture
def pooled(db: None, size: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(pool, "_trouble_until", 0.0)
    made: Any = connection.copy("pooled")
    made.settings_dict |= {"CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True}
    made.settings_dict["OPTIONS"] |= {"pool": {"min_size": size, "max_size": size, "timeout": SECONDS}}
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


@pytest.mark.parametrize("size", [MANY])
def test_where_all_were_cut_the_first_who_asks_gets_a_new_one(pooled: Any) -> None:
    process_of(pooled)
    pooled.pool.wait(SECONDS)
    assert cut(each.info.backend_pid for each in pooled.pool._pool) == MANY
    assert process_of(pooled)  # else it raises, after SECONDS
    assert pooled.pool.get_stats()["pool_size"] == MANY


def test_nor_does_the_worker_try_them_one_by_one(db: None) -> None:
    async def ask() -> int:
        own = {"min_size": MANY, "max_size": MANY, "timeout": SECONDS, "check": pool.check_async, "open": False}
        async with AsyncConnectionPool(kwargs=where(), **own) as made:
            await made.wait(SECONDS)
            assert await asyncio.to_thread(cut, [each.info.backend_pid for each in made._pool]) == MANY
            async with made.connection() as taken:
                return taken.info.backend_pid

    assert asyncio.run(ask())


def where() -> dict[str, Any]:
    """How to connect to the test's database without Django."""
    names = ("host", "port", "dbname", "user", "password")
    return {name: value for name, value in connection.get_connection_params().items() if name in names}


def cut(processes: Iterable[int]) -> int:
    """How many connections were ended; on one of its own."""
    with psycopg.connect(**where(), autocommit=True) as admin:
        ended = [admin.execute("SELECT pg_terminate_backend(%s, 10000)", [each]).fetchone() for each in processes]
    return ended.count((True,))
