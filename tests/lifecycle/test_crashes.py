"""A command that is killed, or whose disk or database fails, at any moment loses nothing and shows nothing twice; the
next run finishes the work. Here a slice of the moments; all of them: `python -m tests.lifecycle.crash_walk`."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lifecycle.crash.walk import Stage, stage, walk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("crashes")]

SLICE = 31  # a prime, so that no step of the work is always jumped over


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Stage]:
    assert shutil.which("strace"), "these tests need strace: apt-get install strace"
    with stage(tmp_path) as started:
        yield started


@pytest.mark.parametrize("command", ["archive", "restore", "purge", "erase"])
def test_nothing_is_lost_or_there_twice_when_it_is_broken(made: Stage, command: str) -> None:
    report = walk(made, command, step=SLICE)
    assert report.findings == []
    assert report.total >= 6
    assert report.points["kill"] >= 3


@pytest.mark.parametrize(
    ("command", "broken", "says"),
    [
        ("archive", "deleted_before_the_bundle_is_written", "are lost"),
        ("archive", "not_synced", "after a power cut"),
        ("archive", "directory_not_synced", "after a power cut"),
        ("restore", "restored_in_two_steps", "there twice"),
        ("purge", "file_removed_before_the_commit", "cannot be read"),
        ("erase", "erased_before_the_ledger_knows", "no ledger knows"),
        ("erase", "certified_unseen", "the person stands in"),
    ],
)
def test_a_broken_copy_is_caught(made: Stage, command: str, broken: str, says: str) -> None:
    report = walk(made, command, broken=broken, faults=["kill"], step=3, whole=False)
    assert any(says in finding for finding in report.findings), report.findings
