"""`manage.py migrate`."""

import threading

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from threadhub.launch import installation


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_the_second_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, over = threading.Event(), threading.Event()
    monkeypatch.setattr(installation.time, "sleep", lambda seconds: waits.set() or over.wait(60))

    def migrate() -> None:
        try:
            call_command("migrate", verbosity=0)
        finally:
            connection.close()

    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as first:
        first.execute("SELECT pg_advisory_lock(%s)", [installation.LOCK])
        second = threading.Thread(target=migrate)
        second.start()
        assert waits.wait(60)
        assert second.is_alive()
    over.set()
    second.join(60)
    assert not second.is_alive()


@pytest.mark.django_db(transaction=True)
def test_what_only_asks_waits_for_nobody() -> None:
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [installation.LOCK])
        call_command("migrate", "--check", verbosity=0)
