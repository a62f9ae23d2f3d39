import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from tests import processes
from tests.embedded import people
from tests.embedded.conftest import NewUser
from tests.embedded.people import User


def test_what_was_committed_survives_the_kill_of_the_server(data_dir: Path, new_user: NewUser) -> None:
    user = new_user(durable=True)
    user.ensure()
    with people.connect(data_dir) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        people.kill_server(data_dir)
        user.ensure()
    assert people.ask(data_dir, "SELECT answer FROM kept") == 42
    user.leave()
    assert not people.servers(data_dir)


def test_what_was_committed_survives_the_kill_of_everything(data_dir: Path, new_user: NewUser) -> None:
    user = new_user(durable=True)
    user.ensure()
    with people.connect(data_dir) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    user.kill()
    people.kill_all(data_dir)
    new_user(durable=True).ensure()
    assert people.ask(data_dir, "SELECT answer FROM kept") == 42


def test_the_server_that_every_user_lost_is_started_once(data_dir: Path, new_user: NewUser) -> None:
    users = [new_user() for _ in range(4)]
    for user in users:
        user.ensure()
    people.kill_server(data_dir)
    for user in users:
        user.say("ensure")
    assert [user.answer() for user in users] == [{}] * 4
    assert people.postmasters(data_dir) == {people.server_pid(data_dir)}


def test_a_busy_child_of_a_killed_server_does_not_stay_in_the_way(data_dir: Path, alice: User) -> None:
    def stay_busy() -> None:
        with pytest.raises(psycopg.OperationalError), people.connect(data_dir) as connection:
            connection.execute("SELECT count(*) FROM generate_series(1, 1000000000000)")

    thread = threading.Thread(target=stay_busy)
    thread.start()
    busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series%' AND pid <> pg_backend_pid()"
    people.wait_until(lambda: people.ask(data_dir, busy) == 1)
    # Stopped, the child cannot notice its parent's death: the worst that a long computation may do.
    with people.connect(data_dir) as connection:
        child = connection.execute(busy.replace("count(*)", "pid")).fetchone()
    assert child
    os.kill(child[0], signal.SIGSTOP)
    people.kill_server(data_dir)
    alice.ensure()
    thread.join()
    assert people.ask(data_dir, "SELECT 1") == 1


def test_the_crash_of_one_connection_costs_a_moment_only(data_dir: Path, alice: User) -> None:
    with people.connect(data_dir) as connection:
        os.kill(connection.info.backend_pid, signal.SIGKILL)

    def answers() -> bool:
        alice.ensure()
        try:
            return bool(people.ask(data_dir, "SELECT 1") == 1)
        except psycopg.OperationalError:
            return False

    people.wait_until(answers)


@pytest.mark.parametrize("moment", ["initdb", "whole group"])
def test_a_kill_in_the_middle_of_creation_leaves_nothing_half_made(
    new_dir: Path, new_user: NewUser, moment: str
) -> None:
    victim = new_user(durable=True)
    victim.say("ensure")
    root = new_dir / "postgres"
    people.wait_until(lambda: any(root.glob("initializing-*/base/1")))
    programs = processes.descendants(victim.process.pid)
    victim.kill()
    if moment == "whole group":
        for program in programs:
            processes.kill(program)
    assert not (root / "cluster").exists(), "killed too late for this test"
    new_user().ensure()
    assert people.ask(new_dir, "SELECT current_database()") == "threadhub"
    assert not list(root.glob("initializing-*"))


def test_the_process_id_of_a_dead_server_may_belong_to_another_process(
    data_dir: Path, alice: User, new_user: NewUser
) -> None:
    alice.kill()
    people.wait_until(lambda: not people.servers(data_dir) and not people.keepers(data_dir))
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        pid_file = data_dir / "postgres" / "cluster" / "postmaster.pid"
        cluster = pid_file.parent
        pid_file.write_text(f"{stranger.pid}\n{cluster}\n1700000000\n5432\n/tmp\n\n  1 2\nready   \n")
        victor = new_user()
        victor.ensure()
        assert people.ask(data_dir, "SELECT 1") == 1
        assert people.server_pid(data_dir) != stranger.pid
        victor.leave()
        assert stranger.poll() is None, "it is not ours to stop"
    finally:
        stranger.communicate(b"\n")


def test_a_broken_process_id_file_is_no_obstacle(data_dir: Path, alice: User, new_user: NewUser) -> None:
    alice.leave()
    (data_dir / "postgres" / "cluster" / "postmaster.pid").write_text("")
    new_user().ensure()
    assert people.ask(data_dir, "SELECT 1") == 1


def test_a_killed_starter_leaves_a_server_that_the_next_one_joins(data_dir: Path, new_user: NewUser) -> None:
    """Killed at many moments of a start, also between the server's birth and its being ready."""
    first = new_user()
    first.ensure()
    first.leave()
    for hundredths in range(1, 16, 2):
        victim = new_user()
        victim.say("ensure")
        with pytest.raises(subprocess.TimeoutExpired):
            victim.process.wait(0.1 + hundredths / 100)
        victim.kill()
        user = new_user()
        user.ensure()
        assert people.ask(data_dir, "SELECT 1") == 1
        assert people.postmasters(data_dir) == {people.server_pid(data_dir)}
        user.leave()
