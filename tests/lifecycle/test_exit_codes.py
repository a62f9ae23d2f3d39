"""Exit codes as a shell sees them: of real processes."""

import os
import subprocess
import sys
from urllib.parse import quote

import pytest
from django.db import connection

from tests.conftest import Tenant
from tests.hub import ROOT, clean_environment
from tests.lifecycle.conftest import old_thread
from threadhub.worker import direct_parameters
from threads.lifecycle import sweeper
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 120


def environment(archive: str) -> dict[str, str]:
    """Of a process that works on the test's database and an archive in this directory."""
    found = {**direct_parameters(), "dbname": connection.settings_dict["NAME"]}
    host = quote(str(found["host"]), safe="")  # the directory of a socket
    user, password = quote(str(found["user"])), quote(str(found.get("password") or ""))
    url = f"postgres://{user}:{password}@{host}:{found['port']}/{found['dbname']}"
    return {
        **clean_environment(),
        "DATABASE_URL": url,
        "SECRET_KEY": "s" * 40,
        "ARCHIVE_STORAGE_OPTIONS": f'{{"location": "{archive}"}}',
    }


def shell(archive: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command on the test's database and archive, with nobody at its terminal."""
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=environment(archive),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_wrong_usage_is_2_and_does_nothing(tenant: Tenant, archive_directory: str) -> None:
    old_thread(tenant)
    workspace = f"--workspace={tenant.workspace.wire_id}"
    for words in (["archive_threads", workspace], ["archive_threads", workspace, "--yes", "--older-than=90"]):
        done = shell(archive_directory, *words)
        assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (2, "", False), done.stderr
    assert Thread.objects.get().state == "active"
    assert os.listdir(archive_directory) == []


def test_another_sweep_is_3_and_does_nothing(tenant: Tenant, archive_directory: str) -> None:
    old_thread(tenant)
    words = ["archive_threads", f"--workspace={tenant.workspace.wire_id}", "--yes"]
    with sweeper.alone():
        done = shell(archive_directory, *words)
    assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
    assert "Another sweep is running." in done.stderr
    assert Thread.objects.get().state == "active"
    done = shell(archive_directory, *words)
    assert (done.returncode, Thread.objects.get().state) == (0, "archived"), done.stderr
