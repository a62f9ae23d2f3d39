import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.embedded import people


class NewUser(Protocol):
    def __call__(self, other: Path | None = None, **options: Any) -> people.User: ...


@pytest.fixture(scope="session")
def created(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory whose server has been started and stopped; copying it is quicker than making another."""
    directory = tmp_path_factory.mktemp("created") / "data"
    user = people.User(directory)
    user.ensure()
    user.leave()
    user.close()
    return directory


@pytest.fixture
def new_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory that does not exist yet; nothing of it runs when the test has ended."""
    directory = tmp_path / "data"
    yield directory
    people.kill_all(directory)


@pytest.fixture
def data_dir(created: Path, new_dir: Path) -> Path:
    """A data directory that was used before, by a server that has stopped."""
    shutil.copytree(created / "postgres" / "cluster", new_dir / "postgres" / "cluster")
    return new_dir


@pytest.fixture
def new_user(new_dir: Path) -> Iterator[NewUser]:
    """Starts processes that use a server, that of `new_dir` (which `data_dir` fills) unless told otherwise."""
    users: list[people.User] = []

    def start(other: Path | None = None, **options: Any) -> people.User:
        users.append(people.User(other or new_dir, **options))
        return users[-1]

    yield start
    for user in users:
        user.close()


@pytest.fixture
def alice(data_dir: Path, new_user: NewUser) -> people.User:
    """A process for which the server of `data_dir` runs."""
    user = new_user(data_dir)
    user.ensure()
    return user
