"""Pages by key, from both ends."""

import pytest

from tests.conftest import Tenant
from threadhub.agents import configure
from threadhub.agents.models import Agent
from threadhub.console import keyset
from threadhub.console.keyset import Page


@pytest.mark.parametrize("by_time", [True, False])
def test_the_way_down_and_the_way_up_are_the_same(by_time: bool, tenant: Tenant) -> None:
    for number in range(6):
        configure.create(actor=tenant.actor, name=f"{number}", provider="echo")

    def at(cursor: str | None) -> Page:
        return keyset.page(queryset=Agent.objects.all(), cursor=cursor, size=3, by_time=by_time)

    first = at(None)
    second = at(first.older)
    third = at(second.older)
    names = [[agent.name for agent in page.rows] for page in (first, second, third)]
    assert names == [["5", "4", "3"], ["2", "1", "0"], ["Echo"]]
    assert (first.newer, third.older) == (None, None)
    assert at(third.newer).rows == second.rows
    up = at(second.newer)
    assert up.rows == first.rows
    assert up.newer is None


def test_a_cursor_of_the_other_kind_is_the_first_page(tenant: Tenant) -> None:
    cursor = "o." + "0" * 32
    assert keyset.page(queryset=Agent.objects.all(), cursor=cursor, size=3, by_time=True).rows == [tenant.agent]
    assert keyset.page(queryset=Agent.objects.all(), cursor=cursor, size=3, by_time=False).rows == []
