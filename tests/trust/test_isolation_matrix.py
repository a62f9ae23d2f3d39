"""Every operation of the served OpenAPI, by everybody, with everything foreign: no leak, no change, as if absent.

A new route is here by itself; a new kind of id must be told to samples.py, or this fails.
"""

import pytest

from tests.trust.matrix import Matrix
from tests.trust.operations import operations
from tests.trust.world import World, build

CALLERS = (
    "nobody", "bad key", "owner", "viewer", "support", "compliance", "limited staff", "key", "read-only key",
    "end user's key", "session", "another session", "another member's key", "another member",
)  # fmt: skip


# What may succeed: a list that the foreign id narrows to nothing, one's own things, a word that names nothing.
HARMLESS = ("in the query", "in the body", "foreign external_ref", "foreign nothing")


@pytest.fixture
def world(db: None, nobody_waits_for_runs: None) -> World:
    return build()


def test_the_callers_are_those_of_the_world(world: World) -> None:
    assert set(world.callers) == set(CALLERS)


@pytest.mark.parametrize("who", CALLERS)
def test_what_is_foreign_is_not_there(world: World, who: str) -> None:
    matrix = Matrix(world, world.callers[who])
    findings = [finding for operation in operations() for finding in matrix.findings(operation)]
    assert not findings, "\n".join(findings)
    if who == "owner":  # who may do anything at home: what is refused to them is refused for its being foreign
        met = {slot: statuses for slot, statuses in matrix.statuses.items() if "{" in slot}
        assert len(met) > 200
        succeeded = {slot for slot, statuses in met.items() if min(statuses) < 400}
        # The client's own word for a thread: with one's own agent it makes a thread of one's own.
        assert {slot for slot in succeeded if not slot.endswith(HARMLESS)} == set()
