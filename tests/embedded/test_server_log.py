import os
import signal
from pathlib import Path

from tests.embedded import people
from tests.embedded.conftest import NewUser
from tests.embedded.people import User
from threadhub.embedded import server_log


def fill(path: Path, size: int) -> None:
    with path.open("a") as file:
        for number in range(size // 20):
            file.write(f"line number {number:7}\n")


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    fill(log, 1000)
    before = log.read_text()
    assert server_log.cut(log) == 1000
    assert log.read_text() == before


def test_a_big_log_keeps_its_newest_lines_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    fill(log, server_log.LIMIT_BYTES + 2000)
    last = log.read_text().splitlines()[-1]
    size = server_log.cut(log)
    lines = log.read_text().splitlines()
    assert server_log.KEPT_BYTES - 20 <= size <= server_log.KEPT_BYTES
    assert size == log.stat().st_size
    assert lines[-1] == last
    assert lines[0].startswith("line number ")


def test_the_keeper_cuts_the_log_of_a_running_server(data_dir: Path, alice: User) -> None:
    log = data_dir / "postgres" / "log"
    fill(log, server_log.LIMIT_BYTES + 2000)
    (keeper,) = people.keepers(data_dir)
    os.kill(keeper, signal.SIGALRM)  # what its own clock sends each minute
    people.wait_until(lambda: log.stat().st_size <= server_log.KEPT_BYTES)
    with people.connect(data_dir) as connection:
        connection.execute("DO $$ BEGIN RAISE LOG 'the server writes on'; END $$")
    assert log.read_text().splitlines()[-1].endswith("the server writes on")
    assert log.stat().st_size <= server_log.KEPT_BYTES + 1000, "no hole where the server wrote before"


def test_a_start_cuts_the_log(data_dir: Path, alice: User, new_user: NewUser) -> None:
    alice.leave()
    log = data_dir / "postgres" / "log"
    fill(log, server_log.LIMIT_BYTES + 2000)
    new_user().ensure()
    assert log.stat().st_size < server_log.KEPT_BYTES + 10_000


def test_the_cause_is_the_first_severe_line() -> None:
    text = (
        "2026-11-22 01:03:49 UTC [9359] LOG:  starting PostgreSQL\n"
        "2026-11-22 01:03:49 UTC [9359] FATAL:  could not create shared memory segment: Cannot allocate memory\n"
        "2026-11-22 01:03:49 UTC [9359] LOG:  database system is shut down\n"
    )
    assert server_log.cause_in(text) == "could not create shared memory segment: Cannot allocate memory"
    assert server_log.cause_in("sh: 1: postgres: not found\n") == "sh: 1: postgres: not found"
    assert server_log.cause_in("") == ""
