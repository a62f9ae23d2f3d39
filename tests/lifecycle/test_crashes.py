"""A command that is killed, or whose disk or database fails, at any moment loses nothing and shows nothing twice; the
next run finishes the work. Here a slice of the moments; all of them: `python -m tests.lifecycle.crash_walk`."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.conftest import Tenant
from tests.lifecycle.crash import disk
from tests.lifecycle.crash.scenes import SCENES
from tests.lifecycle.crash.strace import Call, Point
from tests.lifecycle.crash.walk import Stage, differences, stage, walk
from threads.lifecycle.erasure import erasures

pytestmark = pytest.mark.django_db(transaction=True)

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


@pytest.mark.parametrize("command", ["archive_beside", "restore_beside"])
def test_nor_where_several_batches_are_in_hand(made: Stage, command: str) -> None:
    report = walk(made, command, faults=["kill", "cut"], step=17)
    assert report.findings == []
    assert report.points["kill"] >= 3


@pytest.mark.parametrize("command", ["archive", "restore", "purge", "erase"])
def test_sigterm_ends_it_after_the_batch_and_the_next_run_finishes(made: Stage, command: str) -> None:
    report = walk(made, command, faults=["term"], step=SLICE)
    assert report.findings == []
    assert report.points["term"] >= 2
    assert report.ended[0] >= 1, report.ended  # it was in the middle of its work, and ended by itself


@pytest.mark.parametrize(
    ("point", "says"),
    [
        (Point("rename", 2, "EROFS"), "Read-only file system"),
        (Point("rename", 1, "EXDEV"), "Invalid cross-device link"),
        (Point("write", 2, "ENOSPC"), "No space left on device"),
        (Point("fsync", 2, "EDQUOT"), "Disk quota exceeded"),
        (Point("fsync", 3, "EIO"), "Input/output error"),
    ],
    ids=str,
)
def test_a_disk_that_refuses_is_a_sentence_and_nothing_is_done(made: Stage, point: Point, says: str) -> None:
    scene = SCENES["archive"]()
    before = made.onlooker.look(scene.workspace)
    assert made.play(scene.argv, point=point) == 1
    said = made.output.read_text()
    assert "The archive cannot be used:" in said
    assert says in said
    assert "Traceback" not in said
    assert made.onlooker.look(scene.workspace) == before
    assert [path for path in made.onlooker.files_of(scene.folder) if path.name.startswith(".partial-")] == []
    assert made.play(scene.argv) == 0
    assert differences(before, made.onlooker.look(scene.workspace), scene, done=True) == []


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


def test_a_power_cut_takes_a_name_that_was_never_durable_and_leaves_one_that_was(tmp_path: Path) -> None:
    """A file that replaces a durable one: after the cut the name has the one or the other, never none."""
    first, second, name, folder = *(str(tmp_path / each) for each in ("a", "b", "name")), str(tmp_path)
    Path(name).write_text("words")
    made = [("openat", first), ("write", first), ("fsync", first), ("rename", first, name)]
    again = [("openat", second), ("write", second), ("fsync", second), ("rename", second, name)]

    def cut(*calls: tuple[str, ...]) -> list[str]:
        return disk.cut_power(tmp_path, [Call(kind, tuple(on), "O_CREAT", True, False) for kind, *on in calls])

    assert cut(*made, ("fsync", folder), *again) == []
    assert cut(*made, ("fsync", folder), again[0], again[1], again[3]) == [f"content of {name}"]
    assert cut(*made, ("fsync", folder), ("unlink", name), *again) == [f"name {name}"]
    Path(name).write_text("words")
    assert cut(*made) == [f"name {name}"]


def test_a_connection_lost_as_a_long_list_is_read_is_one_sentence(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django hands on what the driver says when the list's cursor is closed."""

    def lost(**asked: Any) -> None:
        with psycopg.connect(**connection.get_connection_params()) as other:
            other.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(erasures, "look", lost)
    with pytest.raises(CommandError, match=r"^The database cannot be used: ") as refused:
        call_command("erase_person", workspace=tenant.workspace.pk, external_ref="r", code="AAAA-BBBB")
    assert "\n" not in str(refused.value)
    assert refused.value.returncode == 1
