"""What the fault tests share: web servers that outlive one test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import site
from tests.faults.site import Web


@pytest.fixture(scope="session")
def two_webs(
    django_db_setup: None, django_db_blocker: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Web]]:
    """Two web servers on the test's database, as behind a load balancer."""
    directory: Path = tmp_path_factory.mktemp("webs")
    with site.webs(directory, 2) as started:
        yield started
