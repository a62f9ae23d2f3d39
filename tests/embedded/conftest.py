from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.embedded import people


class NewUser(Protocol):
    def __call__(self, data_dir: Path | None = None, **options: Any) -> people.User: ...


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A data directory that does not exist yet; nothing of it runs when the test has ended."""
    directory = tmp_path / "data"
    yield directory
    people.kill_all(directory)


@pytest.fixture
def new_user(data_dir: Path) -> Iterator[NewUser]:
    """Starts processes that use a server, that of `data_dir` unless told otherwise."""
    users: list[people.User] = []

    def start(directory: Path | None = None, **options: Any) -> people.User:
        users.append(people.User(directory or data_dir, **options))
        return users[-1]

    yield start
    for user in users:
        user.close()


@pytest.fixture
def alice(new_user: NewUser) -> people.User:
    """A process for which the server of `data_dir` runs."""
    user = new_user()
    user.ensure()
    return user
