"""The checks of `tests/hub.py` themselves, on small programs that misbehave."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests import hub, processes

OBEY = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0));"
CHILD = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']{});"
WAIT = "print('ready', flush=True); time.sleep(60)"


def started(tmp_path: Path, program: str) -> subprocess.Popen[bytes]:
    """The program, once it has printed a line."""
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=out)
    assert hub.read_line(tmp_path / "out", process) == "ready"
    return process


def test_stop_is_content_with_a_program_that_ends_by_itself(tmp_path: Path) -> None:
    program = f"{OBEY} {WAIT}"
    hub.stop(started(tmp_path, program), tmp_path)


def test_stop_names_a_child_that_was_left_behind_and_ends_it(tmp_path: Path) -> None:
    program = f"{OBEY} {CHILD.format('')} {WAIT}"
    process = started(tmp_path, program)
    (child,) = processes.descendants(process.pid)
    with pytest.raises(hub.HubFailed, match=r"left behind: .*time\.sleep"):
        hub.stop(process, tmp_path)
    assert not processes.is_alive(child)


def test_stop_finds_a_server_in_the_data_directory_that_is_nobodys_child(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    orphan = CHILD.format(f", cwd={str(data_dir)!r}, start_new_session=True")
    subprocess.run([sys.executable, "-c", orphan], check=True)
    program = f"{OBEY} {WAIT}"
    with pytest.raises(hub.HubFailed, match=r"left behind: .*time\.sleep"):
        hub.stop(started(tmp_path, program), data_dir)
    assert not processes.working_in(data_dir)


def test_stop_ends_a_program_that_does_not_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "STOP_SECONDS", 0.2)
    process = started(tmp_path, f"import signal, time; signal.signal(15, signal.SIG_IGN); {WAIT}")
    with pytest.raises(hub.HubFailed, match="still ran"):
        hub.stop(process, tmp_path)
    assert process.returncode == -9


def test_stop_minds_the_exit_status(tmp_path: Path) -> None:
    with pytest.raises(hub.HubFailed, match="exit status -15"):
        hub.stop(started(tmp_path, f"import time; {WAIT}"), tmp_path)


def test_a_program_that_ends_before_it_is_ready_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(hub.HubFailed, match="exit status 3"):
        started(tmp_path, "import sys; sys.exit(3)")


def test_a_line_that_lacks_a_field_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(hub.HubFailed, match="printed no url, admin_url"):
        hub.parse('{"api_key": "x"}', data_dir=tmp_path)
    with pytest.raises(hub.HubFailed, match="not JSON"):
        hub.parse("Ready.", data_dir=tmp_path)


def test_nothing_of_who_runs_the_tests_reaches_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("THREADHUB_DATA_DIR", "/srv/threadhub")
    environment = hub.clean_environment()
    assert not {"OPENAI_API_KEY", "THREADHUB_DATA_DIR", "DJANGO_SETTINGS_MODULE"} & environment.keys()
    assert environment["THREADHUB_PROVIDER"] == "echo"
    assert environment["PATH"] == os.environ["PATH"]
