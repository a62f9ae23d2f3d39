"""Walks through a command: the same command again and again, each time broken at its next call to the kernel, until it
ends by itself. After each break somebody else looks at what is there; then the command runs once more, unbroken, and
must finish the work."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connection
from django.test import override_settings
from django.utils import timezone

from tests import processes
from tests.lifecycle.crash import disk, strace
from tests.lifecycle.crash.onlooker import Onlooker, View
from tests.lifecycle.crash.scenes import SCENES, Scene
from tests.lifecycle.crash.strace import Point
from threads import stray_files

ROOT = Path(__file__).resolve().parents[3]
APPLICATION = "threadhub-crash-walk"
FAULTS = ("kill", "cut", "term", "EIO", "ENOSPC")
SEND_FAULTS = ("kill", "cut", "term")  # an error of a send alone no kernel gives: the connection is gone, both ways
END_SECONDS = 60
HANGS = 71  # as an exit status: it did not end
TWO_DAYS = 2 * 86_400
OWN_CODES = range(5)  # the exit codes that commands document


@dataclass
class Report:
    """What a walk went through and what it found: `findings` name the point and the fault."""

    command: str
    points: Counter[str] = field(default_factory=Counter)  # by fault
    calls: Counter[str] = field(default_factory=Counter)  # by call
    ended: Counter[int] = field(default_factory=Counter)  # by exit status, at the points
    findings: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.points.values())


class Stage:
    """A database, an archive, and the process that runs commands on them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.directories = {"archive": home / "archive", "default": home / "attachments"}
        for directory in self.directories.values():
            directory.mkdir()
        parameters = {
            key: value
            for key, value in connection.get_connection_params().items()
            if key in ("host", "port", "user", "password", "dbname")
        }
        self.onlooker = Onlooker(parameters, self.directories["archive"], self.directories["default"], APPLICATION)
        given = {
            "database": connection.settings_dict["NAME"],
            "application": APPLICATION,
            "directories": {alias: str(directory) for alias, directory in self.directories.items()},
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.lifecycle.crash.stage", json.dumps(given)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def play(self, argv: list[str], *, point: Point | None = None, trace: bool = False, broken: str = "") -> int:
        """Run a command; returns its exit status. With a point or `trace` its calls are in `log`."""
        traced = trace or point is not None
        self._ask({"argv": argv, "output": str(self.output), "traced": traced, "broken": broken})
        pid = self._answer()["pid"]
        if traced:
            self.log.unlink(missing_ok=True)
        tracer = strace.attach(pid, self.log, point) if traced else None
        if point is not None and point.fault == "cut":
            self._cut_when_stopped(pid)
        status: int = HANGS
        if self._has_answer(END_SECONDS):
            status = self._answer()["status"]
        else:
            os.kill(pid, signal.SIGKILL)
            self._answer()
        if tracer is not None:
            tracer.wait(30)
        self.onlooker.wait_until_nobody_acts()
        return status

    def _cut_when_stopped(self, pid: int) -> None:
        """Cut the process's connections once it was stopped, then let it go on; nothing where it ends before. Each
        thread has a call of that number, so it may be stopped again."""
        deadline = time.monotonic() + END_SECONDS
        stops = 0
        while not self._has_answer(0.005) and time.monotonic() < deadline:
            seen = self.log.read_text(errors="replace").count(strace.STOPPED) if self.log.exists() else 0
            if seen > stops:
                if not stops:
                    self.onlooker.cut()
                stops = seen
                os.kill(pid, signal.SIGCONT)

    def _has_answer(self, seconds: float) -> bool:
        assert self.process.stdout is not None
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    @property
    def log(self) -> Path:
        return self.home / "calls"

    @property
    def output(self) -> Path:
        return self.home / "output"

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            for one in processes.descendants(self.process.pid):
                processes.kill(one)
            self.process.wait(END_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.onlooker.connection.close()

    def _ask(self, request: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the stage is gone")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def stage(home: Path) -> Iterator[Stage]:
    """A stage whose directories this process uses too."""
    from django.conf import settings

    made = Stage(home)
    storages = {
        alias: {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(directory)}}
        for alias, directory in made.directories.items()
    }
    try:
        with override_settings(STORAGES={**settings.STORAGES, **storages}):
            yield made
    finally:
        made.close()


def walk(
    made: Stage, command: str, *, broken: str = "", faults: Iterable[str] = FAULTS, step: int = 1, whole: bool = True,
    kinds: Container[str] = strace.CALLS, first: int = 1, last: int | None = None,
) -> Report:  # fmt: skip
    """Every `step`th call of each of the kinds with each fault, from the first to the last, or until the command ends
    by itself. `whole`: not only to the first finding."""
    report = Report(command)
    scene = SCENES[command]()
    before = made.onlooker.look(scene.workspace)
    status = made.play(scene.argv, trace=True, broken=broken)
    if status != 0:
        report.findings.append(f"unbroken, it ends with {status}: {made.output.read_text()[-300:]}")
    _judge(made, scene, before, report, "unbroken", power=True, broken=broken)
    for call in sorted(kind for kind in strace.counted(made.log) if kind in kinds):
        for fault in faults:
            if fault == "kill" or (fault in SEND_FAULTS) == (call in strace.SENDS):
                _walk_kind(made, report, call, fault, broken, range(first, (last or sys.maxsize) + 1, step), whole)
    return report


def _walk_kind(
    made: Stage, report: Report, call: str, fault: str, broken: str, numbers: Iterable[int], whole: bool
) -> None:
    for number in numbers:
        if report.findings and not whole:
            return
        point = Point(call, number, fault)
        scene = SCENES[report.command]()
        before = made.onlooker.look(scene.workspace)
        status = made.play(scene.argv, point=point, broken=broken)
        if not strace.befell(made.log):
            return  # it ended by itself
        report.points[fault] += 1
        report.calls[call] += 1
        report.ended[status] += 1
        if fault != "kill" and status not in OWN_CODES and not (fault == "term" and status == -signal.SIGTERM):
            said = made.output.read_text(errors="replace").strip().splitlines()[-1:]
            report.findings.append(f"{point}: it ends with {status} and {said}")
        _judge(made, scene, before, report, str(point), power=fault == "kill", broken=broken)


def _judge(made: Stage, scene: Scene, before: View, report: Report, where: str, *, power: bool, broken: str) -> None:
    """Look at what is there, cut the power, look again, finish the work, look at the end."""
    faults = _seen(made, before, scene)
    if power and not faults:
        undone = disk.cut_power(made.directories["archive"], strace.calls(made.log))
        faults = [f"{fault} (after a power cut that took {len(undone)})" for fault in _seen(made, before, scene)]
    if not faults:
        for argv, well in scene.finish:
            status = made.play(argv, broken=broken)
            if status not in well:
                faults.append(f"the next run ends with {status}: {made.output.read_text()[-300:]}")
        faults += differences(before, made.onlooker.look(scene.workspace), scene, done=True)
        faults += _left_over(made, scene)
        faults += _not_erased(made, scene)
    report.findings += [f"{where}: {fault}" for fault in faults]


def _seen(made: Stage, before: View, scene: Scene) -> list[str]:
    """What is wrong at this instant."""
    now = made.onlooker.look(scene.workspace)
    gone = [thread for thread, goal in scene.goal.items() if goal is None and thread not in now.states]
    found = differences(before, now, scene)
    if scene.erased and gone and not any(ledger["digests"] for ledger in made.onlooker.ledgers(scene.folder)):
        found.append(f"{gone[0]} is erased, and no ledger knows of it")
    return found


def _not_erased(made: Stage, scene: Scene) -> list[str]:
    """What is wrong with an erasure that is through."""
    if not scene.erased:
        return []
    found = [
        f"the person stands in {place}" for place in made.onlooker.mentions(scene.workspace, scene.folder, scene.erased)
    ]
    if made.onlooker.unfinished(scene.workspace) or not made.onlooker.certified(scene.workspace):
        found.append("the erasure has no certificate")
    return found


def differences(before: View, now: View, scene: Scene, *, done: bool = False) -> list[str]:
    """What is not as it may be: lost, there twice, changed, of the wrong state. `done`: the work must be finished."""
    found = list(now.faults)
    for thread, goal in scene.goal.items():
        state, places = now.states.get(thread), now.content(thread)
        if done and state != goal:
            found.append(f"{thread} is {state}, not {goal}, when the work is done")
        if state is None:
            if goal is not None:
                found.append(f"{thread} is lost")
            elif thread not in now.tombstones or places:
                found.append(f"{thread} is gone without a tombstone, or not wholly")
            continue
        if len(places) != 1:
            found.append(f"the words of {thread} are " + ("lost" if not places else "there twice"))
        elif places != before.content(thread):
            found.append(f"{thread} is not what it was")
        if thread in now.tombstones:
            found.append(f"{thread} is there and has a tombstone")
        if (state == "archived") != (thread in now.bundled):
            found.append(f"{thread} is {state}, but its words are elsewhere")
    found += [f"{thread} came from nowhere" for thread in now.states.keys() - scene.goal.keys()]
    return found


def _left_over(made: Stage, scene: Scene) -> list[str]:
    """Two days later, once orphans were collected: files that nothing needs, and words that should be gone."""
    for path in made.onlooker.files_of(scene.folder):
        os.utime(path, (path.stat().st_mtime - TWO_DAYS,) * 2)
    status = made.play(["collect_orphan_bundles", "--yes"])
    if status != 0:
        return [f"collecting orphans ends with {status}: {made.output.read_text()[-300:]}"]
    for path in made.directories["default"].glob("*/*/*"):
        os.utime(path, (path.stat().st_mtime - TWO_DAYS,) * 2)
    stray_files.remove(now=timezone.now())
    files = set(made.onlooker.files_of(scene.folder))
    found = [f"{path} is left over" for path in files - made.onlooker.catalogued(scene.workspace)]
    gone = {thread for thread, goal in scene.goal.items() if goal is None}
    for path in files:
        if path.name == "threads.jsonl.zst":
            there = {record.get("thread_id", record["id"]) for record in made.onlooker.lines(path)}
            found += [f"words of {thread} are still in a bundle" for thread in there & gone]
    for thread in gone:
        left = [path for path in made.directories["default"].glob(f"*/{thread}/*") if path.is_file()]
        found += [f"a file of {thread} is left over"] if left else []
    return found
