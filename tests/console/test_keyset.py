"""Pages by key, from both ends."""

from typing import Any

import pytest
from django.db.models import Q

from tests.conftest import Tenant, make_tenant
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


@pytest.mark.parametrize("by_time", [True, False])
def test_where_no_index_tells_a_page_looks_through_so_many_and_leads_on(
    by_time: bool, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        configure.create(actor=tenant.actor, name=f"{number}", provider="echo")
    monkeypatch.setattr(keyset, "LOOKED_THROUGH", 4)
    wanted = Agent.objects.filter(name__in=["7", "1", "0"])

    def at(cursor: str | None) -> Page:
        return keyset.page(queryset=wanted, cursor=cursor, size=2, by_time=by_time, among=Agent.objects.all())

    down = [at(None)]
    while down[-1].older:
        down.append(at(down[-1].older))
    assert [[agent.name for agent in page.rows] for page in down] == [["7"], ["1"], ["0"]]
    assert [page.looked_through for page in down] == [4, 4, None]
    up = at(down[2].newer)
    assert ([agent.name for agent in up.rows], up.looked_through) == (["1"], 4)
    assert [agent.name for agent in at(up.newer).rows] == ["7"]


def test_a_full_page_of_what_is_looked_through_is_a_page(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        configure.create(actor=tenant.actor, name=f"{number}", provider="echo")
    monkeypatch.setattr(keyset, "LOOKED_THROUGH", 4)
    every = Agent.objects.all()
    first = keyset.page(queryset=every, cursor=None, size=2, by_time=True, among=every)
    assert ([agent.name for agent in first.rows], first.looked_through) == (["4", "3"], None)
    then = keyset.page(queryset=every, cursor=first.older, size=2, by_time=True, among=every)
    assert ([agent.name for agent in then.rows], then.looked_through) == (["2", "1"], None)


def test_pages_of_several_workspaces_are_one_list(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether their rows are found together or one workspace after the other."""
    others = [make_tenant("second"), make_tenant("third")]
    for number in range(10):
        owner = [tenant, *others][number % 2 + (number > 7)]
        configure.create(actor=owner.actor, name=f"{number}", provider="echo")
    every, both = Agent.objects.all(), [tenant.workspace.pk, *(each.workspace.pk for each in others)]
    monkeypatch.setattr(keyset, "LOOKED_THROUGH", 6)

    def walked(way: str, cursor: str | None, of: Any = every, **options: Any) -> list[list[str]]:
        pages = []
        while cursor is not None or not pages:
            page = keyset.page(queryset=of, cursor=cursor, size=4, by_time=True, **options)
            pages.append([agent.name for agent in page.rows])
            cursor = page.older if way == "down" else page.newer
        return pages

    assert walked("down", None, apart=both) == walked("down", None)
    last = keyset.cursor_at("n", every.order_by("created_at")[0], by_time=True)
    assert walked("up", last, apart=both) == walked("up", last)
    found = walked("down", None, apart=both, of=every.filter(name__in=["8", "1", "0"]), among=every)
    assert [name for page in found for name in page] == ["8", "1", "0"]


def test_rows_of_one_set_or_another_are_one_list(tenant: Tenant) -> None:
    """In each of several workspaces, too."""
    other = make_tenant("second")
    for number in range(8):
        owner = other if number % 3 == 0 else tenant
        configure.create(actor=owner.actor, name=f"{number}", provider="echo")
    either = [Q(name__in=["0", "5", "6"]), Q(name__in=["1", "7"])]
    for apart in ([], [tenant.workspace.pk, other.workspace.pk]):
        pages: list[list[str]] = []
        cursor = None
        while not pages or cursor:
            page = keyset.page(
                queryset=Agent.objects.all(), cursor=cursor, size=2, by_time=True, apart=apart, either=either
            )
            pages.append([agent.name for agent in page.rows])
            cursor = page.older
        assert pages == [["7", "6"], ["5", "1"], ["0"]]


def test_a_cursor_of_the_other_kind_is_the_first_page(tenant: Tenant) -> None:
    cursor = "o." + "0" * 32
    assert keyset.page(queryset=Agent.objects.all(), cursor=cursor, size=3, by_time=True).rows == [tenant.agent]
    assert keyset.page(queryset=Agent.objects.all(), cursor=cursor, size=3, by_time=False).rows == []
