"""`manage.py doctor`."""

import json
from pathlib import Path

import pytest
from django.db import connection

from tests.commands.ups import Up, manage
from threadhub.launch import examination
from threadhub.lib.queues import QUEUES


def test_it_finds_a_running_hub_well(running: Up, data_dir: Path) -> None:
    done = manage("doctor", "--data-dir", str(data_dir))
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert all(line.startswith("ok ") for line in lines)
    names = [line.split()[1] for line in lines]
    assert names == [
        "DEBUG",
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
        "THREADHUB_ENV",
        "TLS",
        "CORS_ALLOWED_ORIGINS",
        "limits",
        "ALLOWED_HOSTS",
        "storage",
        "archive",
        "database",
        "clock",
        "migrations",
        "indexes",
        "isolation",
        "worker",
        "runs",
        "search",
        "attachments",
        "bundles",
        "sweeps",
        "erasures",
        "provider",
    ]


def test_it_names_what_is_wrong(running: Up, data_dir: Path) -> None:
    (data_dir / "a file").touch()
    wrong = {
        "DEBUG": "true",
        "SECRET_KEY": "short",
        "ALLOWED_HOSTS": "*",
        "ATTACHMENT_STORAGE_OPTIONS": json.dumps({"location": str(data_dir / "a file")}),
    }
    done = manage("doctor", "--json", "--data-dir", str(data_dir), environment=wrong)
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert not said["ok"]
    assert {check["name"] for check in said["checks"] if not check["ok"]} == {
        "DEBUG",
        "SECRET_KEY",
        "ALLOWED_HOSTS",
        "storage",
        "attachments",  # what lies there cannot be looked at either
    }


def test_a_database_that_does_not_answer_is_a_finding() -> None:
    done = manage("doctor", environment={"DATABASE_URL": "postgres://u:p@127.0.0.1:1/x", "SECRET_KEY": "s" * 40})
    assert done.returncode == 1
    assert (
        'WRONG database           The database of DATABASE_URL cannot be reached ("127.0.0.1": Connection refused).'
        in (done.stdout)
    )
    assert "Traceback" not in done.stderr


@pytest.mark.django_db
def test_an_index_that_was_not_made_to_the_end_is_named() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'thread_by_title'::regclass")
    found = examination.indexes()
    assert not found.ok
    assert found.detail.endswith("REINDEX INDEX CONCURRENTLY thread_by_title;")


@pytest.mark.django_db
def test_a_worker_is_one_though_it_says_of_each_queue_that_it_lives() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_workers CASCADE")
        for _ in QUEUES:
            cursor.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now())")
    assert examination.worker().detail == "1 alive."
