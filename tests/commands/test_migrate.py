"""`manage.py migrate`."""

import threading
import time
from collections.abc import Callable
from io import StringIO
from types import ModuleType, SimpleNamespace

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from threadhub.launch import installation
from threadhub.management.commands import migrate


def _sleeps(monkeypatch: pytest.MonkeyPatch, module: ModuleType, sleep: Callable[[float], object]) -> None:
    """How this module sleeps; whatever else runs in this process sleeps as ever."""
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_the_second_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    waits, over = threading.Event(), threading.Event()
    _sleeps(monkeypatch, installation, lambda seconds: waits.set() or over.wait(60))

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


@pytest.mark.django_db(transaction=True)
def test_a_step_that_waits_for_a_table_lets_others_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said, others = StringIO(), psycopg.connect(**connection.get_connection_params())
    others.execute("SELECT FROM threads_retentionsettings")

    def let_go(seconds: float) -> None:
        with psycopg.connect(**connection.get_connection_params()) as reader:
            reader.execute("SET lock_timeout = '1s'")
            reader.execute("SELECT FROM threads_retentionsettings")
        others.rollback()  # to close it says nothing of when the server lets go

    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.2)
    _sleeps(monkeypatch, migrate, let_go)
    try:
        call_command("migrate", "threads", "0044", verbosity=0, stderr=said)
    finally:
        others.close()
        call_command("migrate", verbosity=0)
    assert said.getvalue() == "A table that a migration changes is in use by a long transaction; trying again.\n"
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone()[0] == "0"


@pytest.mark.django_db(transaction=True)
def test_a_table_that_is_never_free_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(migrate, "GIVE_UP_SECONDS", 0.15)
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.01)
    with psycopg.connect(**connection.get_connection_params()) as others:
        others.execute("SELECT FROM threads_retentionsettings")
        with pytest.raises(CommandError, match="end that, and migrate again"):
            call_command("migrate", "threads", "0044", verbosity=0, stderr=StringIO())
    call_command("migrate", verbosity=0)
