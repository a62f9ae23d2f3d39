"""The list of threads: a page at a time, narrowed by filters, and who is who in it."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.conftest import Everything, say, signed_in
from tests.console.threads import LIST, make, page, titles
from threadhub.agents import configure
from threadhub.console import filters, keyset
from threadhub.workspaces import end_users
from threadhub.workspaces.models import User
from threads.actions import threads
from threads.actions.messages import Draft
from threads.models import Thread


def test_pages_follow_each_other_without_gap_or_repetition(console: Client, tenant: Tenant) -> None:
    for number in range(120):
        make(tenant, f"Number {number}")
    for query in ("", f"workspace={tenant.workspace.wire_id}"):
        seen: list[str] = []
        address, steps = f"{LIST}?{query}", 0
        while address:
            html = console.get(address).content.decode()
            seen += re.findall(r"Number \d+", html)
            older = re.search(r'href="(\?[^"]*)" rel="next"', html)
            address, steps = (LIST + older[1].replace("&amp;", "&") if older else ""), steps + 1
        assert seen == [f"Number {number}" for number in reversed(range(120))]
        assert steps == 3
        newer = re.search(r'href="(\?[^"]*)" rel="prev"', html)
        assert newer is not None
        assert titles_at(console, LIST + newer[1].replace("&amp;", "&")) == seen[50:100]


def titles_at(client: Client, address: str) -> list[str]:
    return re.findall(r"Number \d+", client.get(address).content.decode())


def test_threads_of_the_very_same_moment_are_all_there(console: Client, tenant: Tenant) -> None:
    for number in range(60):
        make(tenant, f"Number {number}")
    Thread.objects.update(created_at=timezone.now())
    first = f"{LIST}?workspace={tenant.workspace.wire_id}"
    html = console.get(first).content.decode()
    older = re.search(r'href="(\?[^"]*)" rel="next"', html)
    assert older is not None
    assert len(set(titles_at(console, first) + titles_at(console, LIST + older[1].replace("&amp;", "&")))) == 60


def test_an_end_user_goes_by_the_reference_of_the_product(
    console: Client, tenant: Tenant, other_tenant: Tenant
) -> None:
    """Not by the user name, which was made for them."""
    threads_of = {}
    for each in (tenant, other_tenant):
        user_id = end_users.find_or_make(workspace_id=each.workspace.pk, name="customer-42", now=timezone.now())
        threads_of[each] = make(each, f"Of {each.workspace.name}")
        Thread.objects.filter(pk=threads_of[each].pk).update(user_id=user_id)
    make(tenant, "Of nobody")
    say(threads_of[tenant], tenant, Draft(role="user", content="Hello"))
    listed = console.get(LIST).content.decode()
    assert listed.count("customer-42") == 2
    assert "end-user-" not in listed
    assert sorted(titles(console, user="customer-42")) == sorted(f"Of {each.workspace.name}" for each in threads_of)
    assert titles(console, user="customer-43") == []
    shown = page(console, threads_of[tenant])
    assert "<dd>customer-42</dd>" in shown
    assert "end-user-" not in shown


def test_filters_narrow_the_list(console: Client, tenant: Tenant, other_tenant: Tenant, alice: User) -> None:
    second = configure.create(actor=tenant.actor, name="Second", provider="echo")
    mine = make(tenant, "Mine", external_ref="7")
    Thread.objects.filter(pk=mine.pk).update(
        user=alice, state="archived", created_at=timezone.now() - timedelta(days=9)
    )
    threads.create(actor=tenant.actor, agent_id=second.pk, now=timezone.now(), title="Second's")
    make(other_tenant, "Elsewhere")
    assert titles(console, agent=second.wire_id) == ["Second's"]
    assert titles(console, workspace=other_tenant.workspace.wire_id) == ["Elsewhere"]
    assert titles(console, state="archived") == ["Mine"]
    assert titles(console, user="alice") == ["Mine"]
    assert titles(console, external_ref="7") == ["Mine"]
    week_ago = (timezone.now() - timedelta(days=7)).date().isoformat()
    assert titles(console, created_to=week_ago) == ["Mine"]
    assert sorted(titles(console, created_from=week_ago)) == ["Elsewhere", "Second's"]
    the_day = (timezone.now() - timedelta(days=9)).date().isoformat()
    assert titles(console, created_from=the_day, created_to=the_day) == ["Mine"]


def test_days_are_those_of_making_or_those_of_the_last_activity(console: Client, tenant: Tenant) -> None:
    now = timezone.now()

    def day(ago: int) -> str:
        return (now - timedelta(days=ago)).date().isoformat()

    for title, made, active in (("Long", 40, 2), ("Short", 40, 40), ("New", 1, 0), ("Silent", 2, None)):
        moment = None if active is None else now - timedelta(days=active)
        fields = {"created_at": now - timedelta(days=made), "last_activity_at": moment}
        Thread.objects.filter(pk=make(tenant, title).pk).update(**fields)
    assert titles(console, created_from=day(50), created_to=day(30)) == ["Short", "Long"]
    assert titles(console, active_from=day(50), active_to=day(30)) == ["Short"]
    assert titles(console, active_from=day(3), active_to=day(2)) == ["Silent", "Long"], "without a message: its making"
    assert titles(console, active_from=day(3)) == ["New", "Silent", "Long"]
    assert titles(console, active_to=day(2)) == ["Silent", "Short", "Long"]
    assert titles(console, active_from=day(3), created_to=day(30), workspace=tenant.workspace.wire_id) == ["Long"]


def test_a_page_that_no_index_serves_says_how_many_it_looked_through(
    console: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset, "LOOKED_THROUGH", 2)
    now = timezone.now()
    made = [make(tenant, f"Thread {number}") for number in range(5)]
    Thread.objects.exclude(pk=made[1].pk).update(last_activity_at=now - timedelta(days=9))
    address, seen = f"{LIST}?active_from={now.date() - timedelta(days=1)}", []
    for _ in range(2):
        html = console.get(address).content.decode()
        address = LIST + unescape(re.findall(r'href="([^"]+)"[^>]*>\s*Look further', html)[0])
        seen.append(("2 threads were looked through" in html, "1 found among 2" in html, "Thread 1" in html))
    assert seen == [(True, False, False), (False, True, True)]
    html = console.get(address).content.decode()
    assert "Look further" not in html
    step = console.get(f"{LIST}{made[1].wire_id}/step/newer/?_changelist_filters=active_from%3D{now.date()}")
    assert "end=newer" in step["Location"]


@pytest.mark.parametrize(
    "query",
    [
        {"agent": "nobody"},
        {"workspace": "x"},
        {"state": "lost"},
        {"user": "nobody"},
        {"created_from": "soon"},
        {"active_to": "soon"},
        {"active_from": "\x00"},
    ],
)
def test_a_value_that_nothing_has_finds_nothing(query: dict[str, str], console: Client, everything: Everything) -> None:
    assert titles(console, **query) == []


def test_what_is_chosen_is_shown_as_chosen_where_it_is_not_offered(
    olivia: User, console: Client, tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, _ = [configure.create(actor=tenant.actor, name=name, provider="echo") for name in ("Old", "New")]
    monkeypatch.setattr(filters, "OFFERED", 1)

    def selected(client: Client, name: str, value: str) -> str:
        html = client.get(f"{LIST}?{name}={value}").content.decode()
        found = re.search(rf'<select name="{name}".*?<option value="{value}" selected>(.*?)</option>', html, re.S)
        assert found is not None
        return unescape(found[1])

    assert selected(console, "agent", chosen.wire_id) == "Old · acme"
    assert selected(console, "workspace", tenant.workspace.wire_id) == "acme"
    assert selected(console, "state", "nonsense") == "nonsense"
    theirs, other = other_tenant.agent.wire_id, other_tenant.workspace.wire_id
    client = signed_in(olivia)
    assert selected(client, "agent", chosen.wire_id) == "Old"
    assert [selected(client, "agent", theirs), selected(client, "workspace", other)] == [theirs, other]
