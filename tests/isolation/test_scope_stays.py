"""The guard around every test: none hands another scope to the next."""

from collections.abc import Callable
from uuid import UUID

import pytest

from tests.conftest import keeping_scope
from threadhub.isolation import scope
from threadhub.isolation.scope import Door

SOMEWHERE = UUID(int=1)


def leave_a_door_open() -> None:
    scope.enter_door(Door.CONSOLE)


def leave_a_workspace() -> None:
    scope.enter(SOMEWHERE)


@pytest.mark.parametrize("leave", [leave_a_door_open, leave_a_workspace])
def test_a_test_that_leaves_another_scope_fails_by_name(leave: Callable[[], None]) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"a.py::test_b found .* left "), keeping_scope("a.py::test_b"):
        leave()
    assert scope.current().owner, "and the next test finds what this one found"


def test_a_test_that_ends_what_it_began_does_not() -> None:
    with keeping_scope("a.py::test_b"), scope.within(SOMEWHERE):
        leave_a_door_open()
    assert scope.current().owner


def test_it_stands_around_every_test(request: pytest.FixtureRequest) -> None:
    assert "_the_scope_stays" in request.fixturenames
