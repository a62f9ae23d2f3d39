import os
from pathlib import Path

import pytest

from tests.embedded import people
from tests.embedded.conftest import NewUser
from threadhub import embedded
from threadhub.embedded.layout import SHORT_ROOT, SOCKET_PATH_BYTES, socket_path


def test_it_lies_in_the_data_directory(tmp_path: Path) -> None:
    assert embedded.socket_directory(tmp_path) == tmp_path / "postgres" / "socket"


def test_to_ask_for_it_makes_nothing(tmp_path: Path) -> None:
    embedded.connection_settings(tmp_path / "data")
    embedded.connection_settings(tmp_path / ("x" * 200))
    assert list(tmp_path.iterdir()) == []
    assert not embedded.socket_directory(tmp_path / ("x" * 200)).exists()


def test_the_longest_path_that_fits_is_used_and_no_longer_one() -> None:
    shortest = len(os.fsencode(socket_path(embedded.socket_directory(Path("/d")))))
    fits = Path("/d" + "x" * (SOCKET_PATH_BYTES - shortest))
    assert len(os.fsencode(socket_path(embedded.socket_directory(fits)))) == SOCKET_PATH_BYTES
    assert embedded.socket_directory(fits).is_relative_to(fits)
    assert embedded.socket_directory(Path(f"{fits}x")).parent == SHORT_ROOT


def test_bytes_count_not_letters() -> None:
    assert embedded.socket_directory(Path("/" + "ä" * 60)).parent == SHORT_ROOT


def test_two_long_paths_do_not_meet() -> None:
    one, other = (embedded.socket_directory(Path("/" + letter * 200)) for letter in "ab")
    assert one != other


def test_two_spellings_of_one_directory_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    spellings = [tmp_path / "real", tmp_path / "link", Path("real"), Path("real/../link")]
    assert len({embedded.socket_directory(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize("name", ["x" * 120, "a, b", "quo\"te it's ümläut 5% \\n"])
def test_a_server_starts_whatever_the_directory_is_called(tmp_path: Path, new_user: NewUser, name: str) -> None:
    directory = tmp_path / name
    user = new_user(directory)
    user.ensure()
    assert people.ask(directory, "SELECT 1") == 1
    user.leave()
    assert not people.servers(directory)
    assert not embedded.socket_directory(directory).exists()


def test_connection_settings_are_those_of_django(tmp_path: Path) -> None:
    assert embedded.connection_settings(tmp_path) == {
        "HOST": str(tmp_path / "postgres" / "socket"),
        "PORT": "5432",
        "NAME": "threadhub",
        "USER": "threadhub",
        "PASSWORD": "",
    }
