"""Limits are off in the test run (tests/settings.py) and on here, each test with borrowed tokens of its own."""

from collections.abc import Iterator

import pytest

from threadhub.limits import rates


@pytest.fixture(autouse=True)
def _nothing_borrowed() -> Iterator[None]:
    rates.forget()
    yield
    rates.forget()
