"""GET /api/ai/threads"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.api.ai.conftest import new_thread
from tests.conftest import Api, Tenant
from threadhub.agents import configure
from threadhub.workspaces.models import User
from threads.actions.messages import Draft, append
from threads.models import Thread

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)


def listed(api: Api, query: str = "") -> list[Any]:
    response = api.get(f"/api/ai/threads{query}")
    assert response.status_code == 200, response.content
    threads = response.json()
    assert isinstance(threads, list)
    return threads


def titles(api: Api, query: str = "") -> list[str]:
    return [thread["title"] for thread in listed(api, query)]


@pytest.fixture
def abc(api: Api, tenant: Tenant) -> None:
    """Threads a, b and c, created in that order; a was updated last, b first."""
    for number, (title, updated) in enumerate((("a", 30), ("b", 10), ("c", 20))):
        new_thread(api, tenant, title=title)
        Thread.objects.filter(title=title).update(
            created_at=BEGIN + timedelta(seconds=number), updated_at=BEGIN + timedelta(seconds=updated)
        )


def test_it_is_a_bare_array_of_threads_without_their_messages(api: Api, tenant: Tenant) -> None:
    assert listed(api) == []
    thread_id = new_thread(api, tenant, title="Orders")
    whole = api.get(f"/api/ai/threads/{thread_id}").json()
    assert listed(api) == [whole]
    append(actor=tenant.actor, thread=Thread.objects.get(), drafts=[Draft(role="user", content="Hi")])
    (thread,) = listed(api)
    assert (thread["messages"], thread["messageSummaries"]) == ([], [])


@pytest.mark.usefixtures("abc")
@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("", "acb"),
        ("?", "acb"),
        ("?sort=-updated", "acb"),
        ("?sort=updated", "bca"),
        ("?sort=created", "abc"),
        ("?sort=-created", "cba"),
        ("?sort=title", "abc"),
        ("?sort=-title", "cba"),
        ("?sort=integration+-title", "cba"),
        ("?sort=integration%20user%20workspace%20-created", "cba"),
        ("?sort=_id", "abc"),
        ("?sort=-_id", "cba"),
        ("?sort=integration", "cba"),
        ("?sort=-integration", "abc"),
        ("?sort=", "acb"),
        ("?sort=undefined", "acb"),
        ("?sort=nonsense", "acb"),
        ("?sort=nonsense+title", "abc"),
        ("?sort=-password", "acb"),
        ("?sort=agent__workspace__name", "acb"),
        ("?sort=--title", "acb"),
        ("?sort=title+-title", "abc"),
    ],
)
def test_it_sorts_like_mongoose(api: Api, query: str, order: str) -> None:
    assert titles(api, query) == list(order)


def test_no_title_sorts_before_every_title(api: Api, tenant: Tenant) -> None:
    for fields in ({"title": "a"}, {}, {"title": ""}):
        new_thread(api, tenant, **fields)
    assert titles(api, "?sort=title") == [None, "", "a"]
    assert titles(api, "?sort=-title") == ["a", "", None]


@pytest.mark.usefixtures("abc")
@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("?sort=title&limit=2", "ab"),
        ("?sort=title&limit=2&page=1", "ab"),
        ("?sort=title&limit=2&page=2", "c"),
        ("?sort=title&limit=2&page=3", ""),
        ("?sort=title&limit=2&page=999999999999999999", ""),
        ("?sort=title&limit=2&page=0", "ab"),
        ("?sort=title&limit=2&page=-1", "ab"),
        ("?sort=title&limit=2&page=two", "ab"),
        ("?sort=title&limit=0", "abc"),
        ("?sort=title&limit=-1", "abc"),
        ("?sort=title&limit=1.5", "abc"),
        ("?sort=title&limit=%D9%A1", "abc"),  # a digit, but not of ASCII
        ("?sort=title&limit=", "abc"),
        ("?sort=title&limit=undefined&page=undefined", "abc"),
        ("?sort=title&limit=99999999999999999999999999", "abc"),
    ],
)
def test_limit_and_page(api: Api, query: str, page: str) -> None:
    assert titles(api, query) == list(page)


def test_fifty_come_unasked_and_a_hundred_at_most(api: Api, tenant: Tenant) -> None:
    common = {"workspace": tenant.workspace, "agent": tenant.agent, "user": tenant.owner}
    Thread.objects.bulk_create(Thread(title=f"{number:03}", **common) for number in range(120))
    assert len(listed(api)) == 50
    assert len(listed(api, "?limit=100")) == 100
    assert titles(api, "?limit=1000&sort=title") == [f"{number:03}" for number in range(100)]
    assert titles(api, "?limit=1000&sort=title&page=2") == [f"{number:03}" for number in range(100, 120)]


def test_it_filters_by_integration(api: Api, tenant: Tenant, other_tenant: Tenant) -> None:
    other = configure.create(actor=tenant.actor, name="Other", provider="echo")
    new_thread(api, tenant, title="first")
    assert titles(api, f"?integration={tenant.agent.wire_id}") == ["first"]
    for integration in (other.wire_id, other_tenant.agent.wire_id, "nonsense", "66d0c0ffee66d0c0ffee66d0"):
        assert listed(api, f"?integration={integration}") == []


def test_it_filters_by_user_inside_what_the_actor_sees(
    api: Api, tenant: Tenant, alice: User, victor: User, as_user: Any
) -> None:
    new_thread(as_user(alice), tenant, title="alice's")
    new_thread(api, tenant, title="owner's")
    assert titles(api, f"?user={alice.wire_id}") == ["alice's"]
    assert titles(as_user(alice), f"?user={alice.wire_id}") == ["alice's"]
    for api_of_less in (as_user(alice), as_user(victor)):
        assert listed(api_of_less, f"?user={tenant.owner.wire_id}") == []
    assert listed(api, "?user=nobody") == []


def test_it_filters_by_workspace(api: Api, tenant: Tenant, other_tenant: Tenant, mallory: User, as_user: Any) -> None:
    new_thread(api, tenant, title="ours")
    new_thread(as_user(mallory), other_tenant, title="theirs")
    assert titles(api, f"?workspace={tenant.workspace.wire_id}") == ["ours"]
    assert listed(api, f"?workspace={other_tenant.workspace.wire_id}") == []
    assert listed(api, "?workspace=nonsense") == []


@pytest.mark.usefixtures("abc")
@pytest.mark.parametrize("nothing", ["", "undefined", "null"])
def test_what_clients_write_for_nothing_is_no_filter(api: Api, nothing: str) -> None:
    assert len(listed(api, f"?user={nothing}&workspace={nothing}&integration={nothing}&limit={nothing}")) == 3


@pytest.mark.parametrize("name", ["integration", "user", "workspace", "sort"])
def test_text_that_no_database_holds_is_refused(api: Api, name: str) -> None:
    response = api.get(f"/api/ai/threads?{name}=%00")
    assert (response.status_code, response.json()["errors"][0]["loc"]) == (400, ["body", name])


@pytest.mark.usefixtures("abc")
def test_unknown_parameters_are_ignored(api: Api) -> None:
    assert len(listed(api, "?colour=blue&externalRef=x&format=xml&state=trashed&id__in=1")) == 3


def test_a_member_sees_their_own_only_and_an_admin_all(
    api: Api, tenant: Tenant, alice: User, victor: User, as_user: Any
) -> None:
    new_thread(as_user(alice), tenant, title="alice's")
    new_thread(as_user(tenant.owner), tenant, title="owner's")
    assert titles(as_user(alice)) == ["alice's"]
    assert titles(as_user(victor)) == []
    assert sorted(titles(as_user(tenant.owner))) == sorted(titles(api)) == ["alice's", "owner's"]
    assert titles(as_user(tenant.owner), "?bypassAdmin=true") == ["owner's"]
    assert titles(as_user(tenant.owner), "?bypassAdmin=true&user=" + alice.wire_id) == []


def test_another_workspace_sees_nothing(
    api: Api, tenant: Tenant, other_tenant: Tenant, mallory: User, as_user: Any
) -> None:
    new_thread(api, tenant)
    assert listed(as_user(mallory)) == []
    assert listed(as_user(mallory), f"?user={tenant.owner.wire_id}&workspace={tenant.workspace.wire_id}") == []


def test_many_threads_take_as_many_queries_as_one(api: Api, tenant: Tenant, django_assert_num_queries: Any) -> None:
    common = {"workspace": tenant.workspace, "agent": tenant.agent, "user": tenant.owner}
    Thread.objects.bulk_create(Thread(created_at=timezone.now(), **common) for _ in range(30))
    api.get("/api/ai/threads")
    with django_assert_num_queries(2):  # the key with its user; the threads
        assert len(listed(api)) == 30
