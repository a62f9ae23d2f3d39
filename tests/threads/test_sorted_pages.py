"""Pages of threads in any order are those of the plain list, whichever way they are found."""

from datetime import timedelta
from itertools import product

import pytest
from django.utils import timezone

from tests.conftest import Tenant
from threadhub.agents.models import Agent
from threadhub.api.ai.filters import SORT_FIELDS, sort_order
from threads import access
from threads.actions import threads as actions
from threads.models import Thread
from threads.querysets import sorted_pages
from threads.querysets.threads import ThreadQuerySet

TITLES = (None, "b", "a", "", "B", "a" * 120 + "2", "a" * 120 + "1")
ORDERS = [f"{sign}{name}" for name, sign in product(SORT_FIELDS, ("", "-"))] + ["title -created", "-user updated"]


@pytest.fixture
def lists(tenant: Tenant) -> list[ThreadQuerySet]:
    """A list of all, of an agent, of a user, of both: of 21 threads."""
    second = Agent.objects.create(workspace=tenant.workspace, name="second", provider="echo")
    now = timezone.now()
    for number in range(21):
        agent = (tenant.agent, second)[number % 2]
        made = actions.create(
            actor=tenant.actor, agent_id=agent.pk, title=TITLES[number % len(TITLES)], now=now + timedelta(hours=number)
        )
        Thread.objects.filter(pk=made.pk).update(
            user=tenant.owner if number % 3 else None,
            state="archived" if number % 5 == 0 else "active",
            updated_at=now + timedelta(minutes=10 * (number * 4 % 7) + number % 3),  # three of each ten minutes
        )
    every = access.visible(actor=tenant.actor)
    narrow = [every.with_agent(second.pk), every.of_user(tenant.owner.pk)]
    return [every, *narrow, narrow[0].of_user(tenant.owner.pk), every.in_state("archived")]


@pytest.mark.parametrize("few", [0, 10_000], ids=["many", "few"])
@pytest.mark.parametrize("deep", [1, 500], ids=["deep", "near"])
def test_they_are_slices_of_the_whole(
    lists: list[ThreadQuerySet], monkeypatch: pytest.MonkeyPatch, few: int, deep: int
) -> None:
    monkeypatch.setattr(sorted_pages, "FEW", few)
    monkeypatch.setattr(sorted_pages, "DEEP", deep)
    for threads, sort in product(lists, ORDERS):
        found = threads.order_by(*sort_order(sort))
        whole = list(found)
        for offset in (0, 1, 7, 15, 20, 21, 22, 999):
            assert sorted_pages.page(found.all(), offset=offset, limit=4) == whole[offset : offset + 4], (sort, offset)


def test_only_what_has_an_index_in_that_order_follows_it(lists: list[ThreadQuerySet]) -> None:
    followed = [
        [sorted_pages._by_time(found.order_by(*sort_order(sort))) for found in lists] for sort in ("_id", "title")
    ]
    assert followed == [[False, True, True, True, False], [False] * 5]
