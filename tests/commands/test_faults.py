"""What can be wrong before anything runs: each one sentence, a non-zero exit, no traceback."""

import socket
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.commands.ups import Up, is_root, manage
from threadhub import embedded
from threadhub.launch import faults, installation


def refused(*words: str, **environment: str) -> str:
    """The sentence with which a command ends."""
    done = manage(*words, environment=environment)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    sentence, end, rest = done.stderr.partition("\n")
    assert (end, rest) == ("\n", "")
    assert sentence.endswith((".", "]"))
    return sentence


def test_a_busy_port(running: Up, data_dir: Path) -> None:
    said = refused("up", "--port", str(running.port), "--data-dir", str(data_dir))
    assert (
        said == f"Cannot listen on 127.0.0.1 port {running.port}: Address already in use. Choose another with --port."
    )


@pytest.mark.parametrize("port", ["http", "-1", "65536", "8000.5", "٨٠٠٠", ""])
def test_what_is_no_port(port: str, tmp_path: Path) -> None:
    said = refused("up", f"--port={port}", "--json", "--data-dir", str(tmp_path / "data"))
    assert said == f"--port must be a number from 0 to 65535, not {port!r}."
    assert not (tmp_path / "data" / "postgres").exists()


def test_an_unknown_host(tmp_path: Path) -> None:
    said = refused("up", "--host", "no such host", "--data-dir", str(tmp_path / "data"))
    assert said == "The host 'no such host' is unknown here."


def test_no_postgresql(tmp_path: Path) -> None:
    said = refused("up", "--port=0", "--data-dir", str(tmp_path / "data"), THREADHUB_PG_BIN=str(tmp_path))
    assert said == f"THREADHUB_PG_BIN is {tmp_path}, which holds no working PostgreSQL 15 or later."


def test_a_directory_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    directory = tmp_path / "file" / "data"
    assert refused("up", "--port=0", "--data-dir", str(directory)) == f"{directory} cannot be used: Not a directory."


@pytest.mark.parametrize("secret_key", ["", "a secret key from the environment, so that none is kept"])
def test_a_directory_that_may_not_be_written(secret_key: str, tmp_path: Path) -> None:
    closed = Path("/sys") if is_root() else tmp_path / "closed"  # root may write everywhere but in the kernel's own
    closed.mkdir(mode=0o555, exist_ok=True)
    said = refused("up", "--port=0", "--data-dir", str(closed / "data"), SECRET_KEY=secret_key)
    assert "cannot be used" in said
    assert str(closed / "data") in said


def test_no_directory() -> None:
    assert refused("up", "--data-dir") == "--data-dir needs a directory."


@pytest.mark.parametrize(
    "url", ["mysql://u:secret@h/x", "sqlite:///x", "nonsense", "host=/tmp", "postgres://u:secret@h:port/x"]
)
def test_what_is_no_database_url(url: str) -> None:
    said = refused("up", "--port=0", DATABASE_URL=url)
    assert said.startswith("DATABASE_URL must look like postgres://user:password@host:5432/name")
    assert "secret" not in said


@pytest.mark.parametrize("command", [["up", "--port=0"], ["work"], ["create_workspace", "x"], ["migrate"]])
def test_a_database_that_does_not_answer(command: list[str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, so that nobody else takes it, and not listened on
        port = closed.getsockname()[1]
        said = refused(*command, DATABASE_URL=f"postgres://u:secret@127.0.0.1:{port}/x")
    assert said == 'The database of DATABASE_URL cannot be reached ("127.0.0.1": Connection refused).'


def test_a_database_that_refuses(running: Up, data_dir: Path) -> None:
    """The embedded server, with a role that needs a password."""
    where = embedded.connection_settings(data_dir)
    rules = data_dir / "postgres" / "cluster" / "pg_hba.conf"
    rules.write_text(f"local all locked scram-sha-256\n{rules.read_text()}")
    with psycopg.connect(host=where["HOST"], dbname=where["NAME"], user=where["USER"], autocommit=True) as connection:
        connection.execute("CREATE ROLE locked LOGIN PASSWORD 'right'")
        connection.execute("SELECT pg_reload_conf()")
    host = quote(where["HOST"], safe="")
    said = refused("up", "--port=0", DATABASE_URL=f"postgres://locked:wrong@{host}/threadhub")
    assert 'password authentication failed for user "locked"' in said
    said = refused("up", "--port=0", DATABASE_URL=f"postgres://threadhub@{host}/nothing")
    assert 'database "nothing" does not exist' in said
    assert said.startswith("The database of DATABASE_URL cannot be reached (")


def test_a_server_that_ends_the_connection_is_gone() -> None:
    said = faults.sentence(psycopg.errors.AdminShutdown("terminating connection due to administrator command"))
    assert said is not None
    assert said.endswith("cannot be reached (terminating connection due to administrator command).")
    assert faults.sentence(psycopg.errors.QueryCanceled("canceling statement due to statement timeout")) is None


def test_a_database_that_is_too_old() -> None:
    with pytest.raises(installation.DatabaseTooOld, match="PostgreSQL 14; threadhub needs 15 or later"):
        installation.refuse_old(140_012)
    installation.refuse_old(150_000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKER_CONCURRENCY", "many"),
        ("DEBUG", "maybe"),
        ("ATTACHMENT_STORAGE_OPTIONS", "{"),
        ("THREADHUB_DURABLE", "x"),
    ],
)
def test_a_setting_that_cannot_be_read(name: str, value: str, tmp_path: Path) -> None:
    said = refused("up", "--port=0", "--data-dir", str(tmp_path / "data"), **{name: value})
    assert said == f"{name} has a value that cannot be read: {value!r}."


def test_a_provider_that_does_not_exist(tmp_path: Path) -> None:
    said = refused("up", "--port=0", "--data-dir", str(tmp_path / "data"), THREADHUB_PROVIDER="gpt")
    assert said == "THREADHUB_PROVIDER must be one of openai, anthropic, local, echo, not 'gpt'."


def test_the_traceback_is_there_for_who_wants_it(tmp_path: Path) -> None:
    done = manage("up", "--traceback", "--data-dir", str(tmp_path / "data"), environment={"THREADHUB_PROVIDER": "gpt"})
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("command", ["up", "work", "create_workspace", "doctor"])
def test_every_command_lists_the_data_directory_in_its_help(command: str) -> None:
    assert "--data-dir DIR" in manage(command, "--help").stdout
