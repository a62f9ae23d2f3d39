"""Timestamps are read as Django's own loader reads them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DataError, connection
from django.db.backends.postgresql.psycopg_any import BaseTzLoader
from psycopg.adapt import Transformer
from psycopg.postgres import types

from threadhub.isolation.backend.timestamps import TimestampLoader

pytestmark = pytest.mark.django_db

OID = types["timestamptz"].oid


class Reference(BaseTzLoader):  # type: ignore[misc]
    timezone = UTC


@pytest.fixture
def readers() -> tuple[TimestampLoader, Reference]:
    connection.ensure_connection()
    return TimestampLoader(OID, Transformer(connection.connection)), Reference(OID, Transformer(connection.connection))


def test_a_connection_has_it(readers: object) -> None:
    with connection.cursor() as cursor:
        assert cursor.connection.adapters.get_loader(OID, 0) is TimestampLoader
        assert cursor.adapters.get_loader(OID, 0) is TimestampLoader


def test_any_time_is_the_same(readers: tuple[TimestampLoader, Reference]) -> None:
    fast, slow = readers
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT made, made::text
                 FROM (SELECT timestamptz '0001-01-01 00:00:00+00'
                              + random() * (timestamptz '9999-12-31 23:59:59.999999+00' - '0001-01-01 00:00:00+00')
                         FROM generate_series(1, 3000)
                        UNION ALL SELECT '2026-11-28 12:00:00+00'
                        UNION ALL SELECT timestamptz '2026-11-28 12:00:00+00' + interval '1 microsecond' * 10 ^ n
                         FROM generate_series(0, 6) AS n
                        UNION ALL SELECT unnest(ARRAY['0001-01-01 00:00:00+00', '9999-12-31 23:59:59.999999+00',
                                                      '2024-02-29 23:59:59.5+00']::timestamptz[])) AS moments (made)"""
        )
        rows = cursor.fetchall()
    assert len(rows) > 3_000
    for made, text in rows:
        assert fast.load(text.encode()) == slow.load(text.encode()) == made
        assert fast.load(memoryview(text.encode())).tzinfo is made.tzinfo is UTC


@pytest.mark.parametrize("text", ["10000-01-01 00:00:00+00", "0044-03-15 12:00:00+00 BC", "infinity", "-infinity"])
def test_what_python_cannot_hold_fails_as_before(text: str, readers: tuple[TimestampLoader, Reference]) -> None:
    fast, slow = readers
    with pytest.raises(Exception) as before:  # noqa: PT011  compared below
        slow.load(text.encode())
    with pytest.raises(type(before.value)) as now:
        fast.load(text.encode())
    assert str(now.value) == str(before.value)
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz", [text])
        with pytest.raises(DataError):
            cursor.fetchone()


def test_another_time_zone_is_read_by_django() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL timezone = 'Asia/Kolkata'")
        cursor.execute("SELECT timestamptz '2026-11-28 12:00:00.25+00'")
        (made,) = cursor.fetchone()
    # Django's loader says UTC and keeps the hours of the place; nothing of ours changes a connection's time zone.
    assert made == datetime(2026, 11, 28, 12, 0, 0, 250_000, UTC) + timedelta(hours=5, minutes=30)
