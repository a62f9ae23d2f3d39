import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.embedded import people
from tests.embedded.conftest import NewUser
from tests.embedded.people import User


def remove(directory: Path) -> None:
    """As `rm -rf` twice: a keeper that is just starting may make its lock file while the first one runs."""
    while directory.exists():
        shutil.rmtree(directory, ignore_errors=True)


def test_the_last_process_to_end_stops_the_server(data_dir: Path, alice: User, new_user: NewUser) -> None:
    victor = new_user()
    victor.ensure()
    alice.leave()
    assert people.ask(data_dir, "SELECT 1") == 1
    victor.leave()
    assert not people.servers(data_dir), "stopped before the process had ended"
    people.wait_until(lambda: not people.keepers(data_dir))


def test_it_stops_in_good_order(data_dir: Path, alice: User) -> None:
    alice.leave()
    assert "database system is shut down" in (data_dir / "postgres" / "log").read_text()
    assert not (data_dir / "postgres" / "cluster" / "postmaster.pid").exists()


def test_a_handler_of_sigterm_can_release_it(data_dir: Path, alice: User) -> None:
    alice.terminate()
    assert not people.servers(data_dir)


@pytest.mark.parametrize("seconds", [0.15, 0.2, 0.25, 0.3])
def test_a_signal_in_the_middle_of_a_start_leaves_nothing(new_dir: Path, new_user: NewUser, seconds: float) -> None:
    user = new_user()
    user.say("ensure")
    with pytest.raises(subprocess.TimeoutExpired):
        user.process.wait(seconds)
    user.process.terminate()
    user.process.wait(people.PATIENCE)
    people.wait_until(lambda: not people.servers(new_dir) and not people.keepers(new_dir))
    new_user().ensure()


def test_a_process_that_released_it_can_use_it_again(data_dir: Path, alice: User) -> None:
    alice.say("release")
    alice.answer()
    assert not people.servers(data_dir)
    alice.ensure()
    assert people.ask(data_dir, "SELECT 1") == 1


def test_the_kill_of_one_user_leaves_the_server_to_the_others(data_dir: Path, alice: User, new_user: NewUser) -> None:
    victor = new_user()
    victor.ensure()
    alice.kill()
    pid = people.server_pid(data_dir)
    assert people.ask(data_dir, "SELECT 1") == 1
    victor.ensure()
    assert people.server_pid(data_dir) == pid
    victor.leave()
    assert not people.servers(data_dir)


def test_the_kill_of_the_last_user_stops_the_server_too(data_dir: Path, alice: User) -> None:
    alice.kill()
    people.wait_until(lambda: not people.servers(data_dir) and not people.keepers(data_dir))


def test_a_new_user_right_after_that_kill_has_a_server(data_dir: Path, alice: User, new_user: NewUser) -> None:
    for _ in range(5):
        alice.kill()
        alice = new_user()
        alice.ensure()
        assert people.ask(data_dir, "SELECT 1") == 1
        assert len(people.keepers(data_dir)) == 1


def test_a_killed_keeper_is_replaced_by_the_next_user(data_dir: Path, alice: User, new_user: NewUser) -> None:
    people.kill_keepers(data_dir)
    assert people.ask(data_dir, "SELECT 1") == 1
    victor = new_user()
    victor.ensure()
    alice.kill()
    victor.kill()
    people.wait_until(lambda: not people.servers(data_dir))


def test_open_connections_do_not_keep_it_from_stopping(data_dir: Path, alice: User) -> None:
    with people.connect(data_dir) as connection:
        alice.leave()
        assert not people.servers(data_dir)
        assert connection.closed is False, "the client has not noticed yet"


def test_a_removed_data_directory_harms_no_process(data_dir: Path, alice: User) -> None:
    pid = people.server_pid(data_dir)
    remove(data_dir)
    alice.leave()
    os.kill(pid, signal.SIGQUIT)  # PostgreSQL itself looks once a minute


def test_a_removed_data_directory_can_be_used_anew(data_dir: Path, alice: User) -> None:
    old = people.server_pid(data_dir)
    remove(data_dir)
    os.kill(old, signal.SIGQUIT)
    people.wait_until(lambda: not people.servers(data_dir))
    alice.ensure()
    assert people.ask(data_dir, "SELECT 1") == 1
    alice.leave()
    assert not people.servers(data_dir)
