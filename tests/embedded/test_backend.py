"""Django on the embedded server, each test in a process of its own, as every command is."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.embedded import people

PREAMBLE = """
import os, signal, sys
from contextvars import ContextVar
from pathlib import Path
import django
from django.conf import settings
from threadhub import embedded
from threadhub.isolation import scope

# Nobody has made the roles of row-level security here: all of it, other threads too, is the owner.
scope._current = ContextVar("threadhub_scope", default=scope.Scope(owner=True))
data_dir = Path(sys.argv[1])
POOL = {"pool": {"min_size": 1, "max_size": 4, "timeout": 10}}
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "threadhub.embedded.backend",
            "THREADHUB_DATA_DIR": data_dir,
            "THREADHUB_DURABLE": False,
            **embedded.connection_settings(data_dir),
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": OPTIONS_HERE,
        }
    },
)
django.setup()
from django.core.management import call_command
from django.db import connection

def ask(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]
"""


def run(data_dir: Path, program: str, options: str = "{}", *, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PREAMBLE.replace("OPTIONS_HERE", options) + program, str(data_dir)],
        capture_output=True,
        text=True,
        cwd="/",
        timeout=60,
        env=env or {**os.environ, "PYTHONPATH": str(people.ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


both = pytest.mark.parametrize("options", ["{}", "POOL"], ids=["plain", "pool"])


@both
def test_a_command_finds_its_database(new_dir: Path, options: str) -> None:
    program = """
call_command("migrate", verbosity=0)
from django.contrib.auth.models import User
User.objects.create(username="alice")
"""
    run(new_dir, program, options)
    assert not people.servers(new_dir), "the command was its only user"
    said = run(new_dir, "from django.contrib.auth.models import User; print(User.objects.get().username)", options)
    assert said == "alice\n"
    assert not people.servers(new_dir)


@both
def test_it_connects_again_after_the_server_was_killed(data_dir: Path, options: str) -> None:
    program = """
assert ask("SELECT 1") == 1
from tests.embedded import people
people.kill_server(data_dir)
connection.close()  # what the end of a request does
import time
from threadhub.isolation.backend import pool
time.sleep(2 * pool.LOOKED_AT_AFTER)  # one that was given back at this moment is not looked at
print(ask("SELECT 2"))
"""
    assert run(data_dir, program, options) == "2\n"


@both
def test_django_makes_and_removes_its_test_database(data_dir: Path, options: str) -> None:
    program = """
from django.test.utils import setup_databases, teardown_databases
old = setup_databases(verbosity=0, interactive=False)
print(connection.settings_dict["NAME"], ask("SELECT current_database()"))
teardown_databases(old, verbosity=0)
print(ask("SELECT count(*) FROM pg_database WHERE datname LIKE 'test%'"))
"""
    assert run(data_dir, program, options) == "test_threadhub test_threadhub\n0\n"


def test_threads_share_the_pool(data_dir: Path) -> None:
    program = """
import threading
answers = []
def work():
    answers.append(ask("SELECT pg_sleep(0.05)::text"))
    connection.close()
threads = [threading.Thread(target=work) for _ in range(12)]
for one in threads: one.start()
for one in threads: one.join()
print(len(answers))
"""
    assert run(data_dir, program, "POOL") == "12\n"


def test_a_short_command_does_not_leave_its_pool_to_meet_the_stopped_server(data_dir: Path) -> None:
    """It would say on stderr that it cannot connect; the pool still fills itself when the command is done."""
    for _ in range(3):
        assert run(data_dir, "print(ask('SELECT 1'))", '{"pool": {"min_size": 8, "max_size": 8}}') == "1\n"


def test_dbshell_starts_the_server_and_brings_its_own_psql(data_dir: Path, tmp_path: Path) -> None:
    program = """call_command("dbshell", "--", "-qAtc", "SELECT current_database()")"""
    (tmp_path / "bin").mkdir()
    for name in ("unshare", "setpriv"):  # what root needs; no psql
        if there := shutil.which(name):
            (tmp_path / "bin" / name).symlink_to(there)
    environment = {**os.environ, "PATH": str(tmp_path / "bin"), "PYTHONPATH": str(people.ROOT)}
    assert run(data_dir, program, env=environment) == "threadhub\n"


def test_who_connects_without_django_asks_for_the_server_by_the_same_settings(data_dir: Path) -> None:
    program = """
import psycopg
database = settings.DATABASES["default"]
embedded.ensure_running_for(database)
at = dict(host=database["HOST"], port=database["PORT"], user=database["USER"], dbname=database["NAME"])
with psycopg.connect(**at) as one:
    print(one.execute("SHOW fsync").fetchone()[0])
"""
    assert run(data_dir, program) == "off\n"


def test_a_database_that_is_not_embedded_is_left_alone() -> None:
    from threadhub import embedded

    embedded.ensure_running_for({"ENGINE": "django.db.backends.postgresql", "HOST": "db.example.org"})


def test_a_forked_process_connects_by_itself(data_dir: Path) -> None:
    program = """
assert ask("SELECT 1") == 1
connection.close()
child = os.fork()
if not child:
    os._exit(0 if ask("SELECT 3") == 3 else 1)
print(os.waitpid(child, 0)[1], ask("SELECT 4"))
"""
    assert run(data_dir, program) == "0 4\n"


def test_what_goes_wrong_is_one_sentence(new_dir: Path) -> None:
    program = """
from threadhub.embedded import EmbeddedPostgresError
try:
    connection.ensure_connection()
except EmbeddedPostgresError as error:
    print(error.code, error)
"""
    new_dir.write_text("a file")
    said = run(new_dir, program)
    assert said.startswith("embedded_postgres_directory The data directory cannot be used")
