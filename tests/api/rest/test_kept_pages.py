"""Pages of threads that were answered a moment ago are answered again while they would be the same."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.conftest import Api, Tenant
from threadhub.agents import configure
from threadhub.agents.models import Agent
from threadhub.api.rest import kept_pages
from threadhub.lib import remembered
from threadhub.workspaces.models import User
from threads import thread_rows
from threads.actions import threads as actions
from threads.actions.messages import Draft, append
from threads.lifecycle import holds
from threads.models import RetentionPolicy, Thread

PAGE = "/threads?include_messages=false&take=3"


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    remembered.forget()


def make(tenant: Tenant, **fields: Any) -> Thread:
    return actions.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now(), **fields)


@pytest.fixture
def few(tenant: Tenant) -> list[Thread]:
    return [make(tenant, title=f"number {number}", external_ref="x") for number in range(5)]


def reads_rows(api: Api, address: str = PAGE) -> list[bool]:
    """Of each statement about threads that a request makes, whether it brings their rows."""
    asked: list[str] = []

    def noted(execute: Any, sql: str, *arguments: Any) -> Any:
        asked.append(sql)
        return execute(sql, *arguments)

    with connection.execute_wrapper(noted):
        assert api.get(address).status_code == 200
    return ["thread.title" in sql for sql in asked if "threads_thread AS" in sql]


@pytest.mark.parametrize(
    "address", [PAGE, f"{PAGE}&skip=1", f"{PAGE}&order=asc", f"{PAGE}&externalRef=x", "/agents/{agent}/threads"]
)
def test_rows_are_read_once(api: Api, tenant: Tenant, few: list[Thread], address: str) -> None:
    address = address.format(agent=tenant.agent.wire_id)
    assert reads_rows(api, address) == [True]
    first = api.get(address)
    assert reads_rows(api, address) == [False]
    again = api.get(address)
    assert (again.content, again.headers) == (first.content, first.headers)
    assert api.get(address, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    remembered.forget()
    whole = api.get(address)
    assert (whole.content, whole.headers["ETag"]) == (first.content, first.headers["ETag"])


@pytest.mark.parametrize("skip", [1, 3])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_deep_pages_are_kept_from_both_ends(
    api: Api, tenant: Tenant, few: list[Thread], monkeypatch: pytest.MonkeyPatch, skip: int, order: str
) -> None:
    monkeypatch.setattr(thread_rows, "SHALLOW", 0)
    address = f"/threads?include_messages=false&take=1&skip={skip}&order={order}"
    first = api.get(address)
    assert reads_rows(api, address) == [False]
    assert api.get(address).content == first.content
    make(tenant)
    monkeypatch.undo()
    shallow = api.get(f"{address}&state=active").json()
    monkeypatch.setattr(thread_rows, "SHALLOW", 0)
    assert api.get(address).json()["data"] == shallow["data"]
    assert api.get(address).json()["count"] == 6


CHANGES: dict[str, Callable[[Tenant, Thread], Any]] = {
    "a title": lambda tenant, thread: actions.change(
        actor=tenant.actor, thread=thread, now=timezone.now(), title="another"
    ),
    "two titles": lambda tenant, thread: [
        Thread.objects.filter(pk=thread.pk).update(title=title) for title in ("another", "a third")
    ],
    "a message": lambda tenant, thread: append(
        actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="x")]
    ),
    "one more": lambda tenant, thread: make(tenant),
    "one less": lambda tenant, thread: actions.delete(actor=tenant.actor, thread=thread, now=timezone.now()),
    "one less that is not shown": lambda tenant, thread: actions.delete(
        actor=tenant.actor, thread=Thread.objects.order_by("created_at")[0], now=timezone.now()
    ),
    "a policy": lambda tenant, thread: RetentionPolicy.objects.create(
        workspace=tenant.workspace, action="purge", counted_from="created", days=3, enabled=True,
        acts_from=timezone.now(),
    ),
    "a hold": lambda tenant, thread: holds.place(
        actor=tenant.actor, scope="workspace", reason="asked", now=timezone.now()
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_is_told_at_once(api: Api, tenant: Tenant, few: list[Thread], change: str) -> None:
    before = [api.get(PAGE) for _ in range(2)][-1]
    CHANGES[change](tenant, few[-1])
    after = api.get(PAGE)
    assert after.content != before.content
    assert after.headers["ETag"] != before.headers["ETag"]
    remembered.forget()
    assert api.get(PAGE).content == after.content


def test_a_page_that_keeps_changing_is_asked_for_once(api: Api, tenant: Tenant, few: list[Thread]) -> None:
    assert reads_rows(api) == [True]
    make(tenant)
    assert reads_rows(api) == [False, True]
    for _ in range(2):
        make(tenant)
        assert reads_rows(api) == [True]
    assert reads_rows(api) == [True]  # by which it is seen to stay
    assert reads_rows(api) == [False]


def test_what_ends_by_itself_ends_the_page(api: Api, tenant: Tenant, few: list[Thread]) -> None:
    now = timezone.now()
    for action, days in (("retain", 5), ("purge", 2)):
        RetentionPolicy.objects.create(
            workspace=tenant.workspace, action=action, counted_from="created", days=days, enabled=True, acts_from=now
        )
    api.get(PAGE)
    (kept,) = kept_pages._kept._kept.values()
    assert kept.until is not None
    assert kept.until <= now + timedelta(days=5)
    assert found(tenant, kept.until - timedelta(microseconds=1))
    assert not found(tenant, kept.until)
    assert not found(tenant, now - timedelta(days=1))


def found(tenant: Tenant, now: datetime) -> bool:
    (asked,) = kept_pages._kept._kept.keys()
    path, _, query = PAGE.partition("?")

    class Asked:
        META = {"QUERY_STRING": query}

        def __init__(self) -> None:
            self.path = path

        def build_absolute_uri(self, path: str) -> str:
            return asked.url

    return kept_pages.find(Asked(), asked.actor, now=now) is not None  # type: ignore[arg-type]


def test_each_is_told_what_they_may_see(api: Api, tenant: Tenant, few: list[Thread], alice: User, as_user: Any) -> None:
    hers: Api = as_user(alice)
    assert [api.get(PAGE).json()["count"] for _ in range(2)] == [5, 5]
    assert [hers.get(PAGE).json()["count"] for _ in range(2)] == [0, 0]
    Thread.objects.filter(pk__in=[few[0].pk, few[1].pk]).update(user=alice)
    assert [hers.get(PAGE).json()["count"] for _ in range(2)] == [2, 2]
    assert [api.get(PAGE).json()["count"] for _ in range(2)] == [5, 5]


def test_an_agent_that_is_closed_takes_its_threads_along(
    tenant: Tenant, few: list[Thread], alice: User, as_user: Any
) -> None:
    hers: Api = as_user(alice)
    other = configure.create(actor=tenant.actor, name="Other", provider="echo")
    Thread.objects.filter(pk=few[1].pk).update(user=alice, agent=other.pk)
    Thread.objects.filter(pk=few[0].pk).update(user=alice)
    assert [hers.get(PAGE).json()["count"] for _ in range(2)] == [2, 2]
    Agent.objects.filter(pk=other.pk).update(limited=True, allowed_roles=["admin"])
    assert [hers.get(PAGE).json()["count"] for _ in range(2)] == [1, 1]


def test_long_queries_are_not_kept(api: Api, few: list[Thread]) -> None:
    address = f"{PAGE}&externalRef={'x' * 256}"
    assert [reads_rows(api, address) for _ in range(2)] == [[True], [True]]
