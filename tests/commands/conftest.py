"""One hub for the tests of commands: with few pooled connections, so that a request that kept one would be noticed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.ups import Up, up

POOL = "3"
CONCURRENCY = "4"


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands") / "data"


@pytest.fixture(scope="session")
def running(data_dir: Path) -> Iterator[Up]:
    """The first start of `data_dir`, as a person sees it."""
    started = up(data_dir, DATABASE_POOL_SIZE=POOL, WORKER_CONCURRENCY=CONCURRENCY)
    try:
        assert "Ctrl-C" in started.text(), started.err.read_text()
        yield started
    finally:
        if started.process.poll() is None:
            started.signal()
