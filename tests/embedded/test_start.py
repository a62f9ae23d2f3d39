import os
import signal
import stat
from pathlib import Path

import psycopg
import pytest

from tests.embedded import people
from tests.embedded.conftest import NewUser
from tests.embedded.people import User
from threadhub import embedded
from threadhub.embedded import locks


def test_it_creates_a_unicode_database_on_the_first_start(new_dir: Path, new_user: NewUser) -> None:
    new_user().ensure()
    with people.connect(new_dir) as connection:
        assert connection.info.dbname == "threadhub"
        assert connection.info.user == "threadhub"
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        assert connection.execute("SELECT to_tsvector('simple', 'Ärger')::text").fetchone() == ("'ärger':1",)
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)


def test_it_has_the_extensions_that_the_product_uses(data_dir: Path, alice: User) -> None:
    with people.connect(data_dir) as connection:
        for name in ("pg_trgm", "btree_gin", "unaccent", "pg_stat_statements"):
            connection.execute(f"CREATE EXTENSION {name}")
        assert connection.execute("SELECT count(*) > 0 FROM pg_stat_statements").fetchone() == (True,)


def test_it_is_safe_against_a_crash_of_the_machine_unless_told_otherwise(data_dir: Path, new_user: NewUser) -> None:
    new_user(durable=True).ensure()
    names = "fsync", "synchronous_commit", "full_page_writes"
    assert [people.ask(data_dir, f"SHOW {name}") for name in names] == ["on"] * 3


def test_it_is_fast_and_unsafe_when_told(data_dir: Path, alice: User) -> None:
    assert people.ask(data_dir, "SHOW fsync") == "off"


def test_it_listens_on_a_private_socket_only(data_dir: Path, alice: User) -> None:
    assert people.ask(data_dir, "SHOW listen_addresses") == ""
    directory = embedded.socket_directory(data_dir).stat()
    assert stat.S_IMODE(directory.st_mode) == 0o700


def test_eight_processes_at_once_share_one_server(new_dir: Path, new_user: NewUser) -> None:
    users = [new_user() for _ in range(8)]
    for user in users:
        user.say("ensure")
    assert [user.answer() for user in users] == [{}] * 8
    assert people.postmasters(new_dir) == {people.server_pid(new_dir)}
    assert len(people.keepers(new_dir)) == 1


def test_a_later_process_joins_the_running_server(data_dir: Path, alice: User, new_user: NewUser) -> None:
    pid = people.server_pid(data_dir)
    new_user().ensure()
    assert people.server_pid(data_dir) == pid
    assert people.postmasters(data_dir) == {pid}


def test_threads_of_one_process_start_it_once(new_dir: Path, new_user: NewUser) -> None:
    program = """
import json, sys, threading
from pathlib import Path
from threadhub import embedded
from threadhub.embedded import locks
errors = []
def ensure():
    try:
        embedded.ensure_running(Path(sys.argv[1]), durable=False)
    except Exception as error:
        errors.append(str(error))
for line in sys.stdin:
    threads = [threading.Thread(target=ensure) for _ in range(8)]
    for one in threads: one.start()
    for one in threads: one.join()
    print(json.dumps({"errors": errors} if errors else {}), flush=True)
"""
    new_user(program=program).ensure()
    assert people.postmasters(new_dir) == {people.server_pid(new_dir)}


def test_a_process_with_many_open_files_starts_it_too(data_dir: Path, new_user: NewUser) -> None:
    """The server's lock is then a file of two digits, which a shell might close or use for itself."""
    files = 'import os\nfor _ in range(40):\n    os.open("/", os.O_RDONLY)\n'
    user = new_user(program=files + people.PROGRAM)
    user.ensure()
    new_user().ensure()
    assert people.postmasters(data_dir) == {people.server_pid(data_dir)}
    held = data_dir / "postgres" / "server.lock"
    assert not locks.is_free(held)


def test_an_interrupt_from_the_terminal_does_not_reach_the_server(data_dir: Path, alice: User) -> None:
    pid = people.server_pid(data_dir)
    assert os.getsid(pid) != os.getsid(alice.process.pid)
    # What Ctrl-C does: the signal goes to the whole foreground process group.
    os.killpg(os.getpgid(alice.process.pid), signal.SIGINT)
    alice.process.wait(people.PATIENCE)
    people.wait_until(lambda: not people.servers(data_dir))
    log = (data_dir / "postgres" / "log").read_text()
    assert log.count("received fast shutdown request") == 1, "stopped for want of users, not by the signal"


def test_the_server_holds_no_pipe_of_the_process_that_started_it(
    data_dir: Path, alice: User, new_user: NewUser
) -> None:
    new_user().ensure()  # the server stays
    alice.leave()
    assert alice.process.stdout
    assert alice.process.stdout.read() == "", "this read would wait for as long as the server lives"


def test_a_forked_child_uses_the_server_by_itself(data_dir: Path, new_user: NewUser) -> None:
    program = """
import json, os, sys
from pathlib import Path
from threadhub import embedded
from threadhub.embedded import locks
data_dir = Path(sys.argv[1])
embedded.ensure_running(data_dir, durable=False)
if os.fork():
    os._exit(0)  # no release: as if killed
sys.stdin.readline()
embedded.ensure_running(data_dir, durable=False)
print(json.dumps({}), flush=True)
sys.stdin.readline()
"""
    parent = new_user(program=program)
    assert parent.process.wait(people.PATIENCE) == 0
    people.wait_until(lambda: not people.servers(data_dir))  # the child has not said that it wants it
    parent.ensure()
    assert people.postmasters(data_dir) == {people.server_pid(data_dir)}
    assert parent.process.stdin
    parent.process.stdin.close()
    people.wait_until(lambda: not people.servers(data_dir))


def test_a_child_forked_while_another_thread_was_inside_does_not_wait_for_it(data_dir: Path, new_user: NewUser) -> None:
    program = """
import json, os, sys, threading
from pathlib import Path
from threadhub.embedded import server
inside = threading.Event()
def stay_inside():
    with server._uses_guard:
        inside.set()
        threading.Event().wait()
threading.Thread(target=stay_inside, daemon=True).start()
inside.wait()
if os.fork():
    os._exit(0)
sys.stdin.readline()
server.ensure_running(Path(sys.argv[1]), durable=False)
print(json.dumps({}), flush=True)
sys.stdin.readline()
os._exit(0)
"""
    user = new_user(program=program)
    user.ensure()
    assert people.ask(data_dir, "SELECT 1") == 1


def test_the_log_says_neither_statements_nor_values(data_dir: Path, alice: User) -> None:
    with people.connect(data_dir) as connection:
        connection.execute("CREATE TABLE secret (word text PRIMARY KEY)")
        connection.execute("INSERT INTO secret VALUES ('xyzzy')")
        with pytest.raises(psycopg.errors.UniqueViolation, match="xyzzy"):
            connection.execute("INSERT INTO secret VALUES ('xyzzy')")
    log = (data_dir / "postgres" / "log").read_text()
    assert "duplicate key" in log
    assert "xyzzy" not in log


def test_an_operators_own_setting_survives_a_restart(data_dir: Path, alice: User, new_user: NewUser) -> None:
    with people.connect(data_dir) as connection:
        connection.execute("ALTER SYSTEM SET shared_buffers = '64MB'")
    alice.leave()
    new_user().ensure()
    assert people.ask(data_dir, "SHOW shared_buffers") == "64MB"
