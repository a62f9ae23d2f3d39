"""A query that lost its filter: the matrix is red where the wall is off, and green behind the wall."""

from collections.abc import Callable
from typing import Any

import pytest

from chat_sessions import expiry, sessions
from tests.trust.matrix import Matrix, wall_off
from tests.trust.operations import operations
from tests.trust.world import World, build
from threadhub.agents import access as agents
from threadhub.agents.models import Agent
from threads import access as threads
from threads.models import Run, Thread
from threads.querysets.runs import RunQuerySet

Plant = Callable[[pytest.MonkeyPatch], None]


def every_thread(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(threads, "visible", lambda **_: Thread.objects.filter(state__in=("active", "archived")))


def every_agent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(agents, "visible", lambda **_: Agent.objects.all())


def every_session(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sessions, "visible", lambda *, now, **_: expiry.living(now=now).select_related("agent"))


def every_run(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RunQuerySet, "of_thread", lambda self, thread: Run.objects.order_by("-created_at", "-id"))


LEAKS: dict[str, tuple[Plant, set[str]]] = {
    "threads": (every_thread, {"threads_list", "threads_retrieve", "threads_messages_list", "threads_partial_update"}),
    "agents": (every_agent, {"agents_list", "agents_retrieve", "ai_agents_list", "agents_threads_create"}),
    "sessions": (every_session, {"chat_sessions_list", "chat_sessions_retrieve", "chat_sessions_threads_list"}),
    "runs": (every_run, {"threads_runs_list", "threads_runs_retrieve"}),
}


@pytest.fixture
def world(db: None, nobody_waits_for_runs: None) -> World:
    return build()


@pytest.mark.parametrize("walled", [True, False], ids=["wall", "no wall"])
@pytest.mark.parametrize("leak", LEAKS)
def test_a_lost_filter_is_found_by_the_matrix_or_held_by_the_wall(
    world: World, monkeypatch: pytest.MonkeyPatch, leak: str, walled: bool
) -> None:
    plant, names = LEAKS[leak]
    if not walled:
        wall_off()
    assert look(world, names) == []
    plant(monkeypatch)
    assert (look(world, names) == []) is walled


def look(world: World, names: set[str]) -> list[str]:
    """What a key of the other workspace finds out by these operations."""
    matrix = Matrix(world, world.callers["key"])
    tried: list[Any] = [operation for operation in operations() if operation.name in names]
    assert len(tried) == len(names)
    return [finding for operation in tried for finding in matrix.findings(operation)]
