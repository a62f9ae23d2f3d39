"""How far a command is, as people and logs read it: of real processes, at a terminal of their own or without one."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from tests.hub import ROOT
from tests.lifecycle.conftest import old_thread, policy
from tests.lifecycle.test_exit_codes import environment, shell
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 120


def at_a_terminal(archive: str, *words: str) -> tuple[int, str]:
    """The exit code, and what was written to a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "manage.py", *words], cwd=ROOT, env=environment(archive), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 4096):
            said += piece
    except OSError:  # nobody has its other end any more
        pass
    finally:
        os.close(ours)
    return process.wait(SECONDS), re.sub(r"\x1b\[[0-9;]*[mA-K]", "", said.decode()).replace("\r\n", "\n")


@pytest.fixture
def workspace(tenant: Tenant) -> str:
    for _ in range(3):
        old_thread(tenant)
    return f"--workspace={tenant.workspace.wire_id}"


def test_a_sweep_is_a_bar_with_the_plans_total(tenant: Tenant, workspace: str, archive_directory: str) -> None:
    old_thread(tenant, 10)
    policy(tenant)
    code, said = at_a_terminal(archive_directory, "retention_apply", workspace, "--yes", "--batch-size=1")
    assert code == 0, said
    assert re.search(r"threads: 100%\|█+\| 3/3 \[", said.rpartition("\r")[2]), said
    assert (said.count("\n"), said[-1]) == (1, "\n")


def test_a_limit_is_the_total_where_less_is_taken_than_planned(
    tenant: Tenant, workspace: str, archive_directory: str
) -> None:
    policy(tenant)
    code, said = at_a_terminal(archive_directory, "retention_apply", workspace, "--yes", "--limit=2")
    assert (code, "| 2/2 [" in said.rpartition("\r")[2]) == (0, True), said


def test_what_the_counters_know_is_a_total(workspace: str, archive_directory: str) -> None:
    for command, what in (("archive_threads", "archived"), ("restore_threads", "restored")):
        code, said = at_a_terminal(archive_directory, command, workspace, "--yes", "--batch-size=2")
        assert code == 0, said
        assert re.search(rf"{what}: 100%\|█+\| 3/3 \[", said.rpartition("\r")[2]), said
        assert said.endswith("\n")


def test_what_nobody_has_counted_is_a_count_and_a_rate(workspace: str, archive_directory: str) -> None:
    words = ["archive_threads", workspace, "--older-than=90d", "--yes", "--batch-size=1"]
    code, said = at_a_terminal(archive_directory, *words)
    assert code == 0, said
    assert re.search(r"archived: 3 threads \[\d+:\d+, .+ threads/s\]", said.rpartition("\r")[2]), said
    assert "%" not in said


def test_a_command_that_fails_says_so_on_a_line_of_its_own(workspace: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    code, said = at_a_terminal(f"{tmp_path}/file", "archive_threads", workspace, "--yes")
    *_, bar, sentence, _ = said.split("\n")
    assert (code, "archived: " in bar, "0/3" in bar) == (1, True, True), said
    assert "The archive cannot be used" in sentence
    assert set(Thread.objects.values_list("state", flat=True)) == {"active"}


def test_a_dry_run_has_no_bar(workspace: str, archive_directory: str) -> None:
    assert at_a_terminal(archive_directory, "archive_threads", workspace, "--dry-run") == (0, "")


def test_the_trash_has_one_too(tenant: Tenant, workspace: str, archive_directory: str) -> None:
    Thread.objects.update(state="trashed", trashed_at=timezone.now(), purge_after=timezone.now())
    code, said = at_a_terminal(archive_directory, "purge_trash", workspace, "--yes")
    assert (code, said.rpartition("\r")[2].startswith("purged: 3 threads [")) == (0, True), said


def test_a_log_has_one_line_per_batch(tenant: Tenant, workspace: str, archive_directory: str) -> None:
    policy(tenant, "archive")
    for words, what in (
        (["retention_apply"], "threads"),
        (["restore_threads"], "restored"),
        (["archive_threads"], "archived"),
    ):
        done = shell(archive_directory, *words, workspace, "--yes", "--batch-size=1")
        assert (done.returncode, done.stderr) == (0, f"{what}: 1\n{what}: 2\n{what}: 3\n")
