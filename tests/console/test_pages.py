"""Every page opens, with a bounded number of queries, under a strict policy, whatever is on it."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant
from tests.console.addresses import opens_a_page, questions
from tests.console.conftest import Everything, signed_in
from threadhub.workspaces.models import User
from threads.actions import threads

QUERIES = 20  # at most; the session and its user are two of them


def queries_of(client: Client, address: str) -> tuple[Any, int]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        answer = client.get(address)
    return answer, len(captured)


def test_every_page_opens_with_few_queries(console: Client, everything: Everything) -> None:
    seen = {}
    for name, address in everything.pages().items():
        answer, count = queries_of(console, address)
        seen[name] = (answer.status_code, count)
    assert {name: result for name, result in seen.items() if result[0] != 200 or result[1] > QUERIES} == {}


def test_what_is_listed_as_no_page_is_none(console: Client, everything: Everything) -> None:
    """So a page cannot be kept from the walks by its name."""
    others = everything.addresses().items() - everything.pages().items()
    answers = {name: console.get(address) for name, address in others}
    shown = {name for name, one in answers.items() if one.status_code == 200 and "html" in one["Content-Type"]}
    assert shown == set()
    assert {name for name in questions() if not opens_a_page(name)} == set()


def test_an_owner_who_is_staff_opens_the_same_pages(olivia: User, everything: Everything) -> None:
    client = signed_in(olivia)
    of_superusers = ("workspaces/user ", "threads/systempolicy ", "procrastinate/procrastinatejob ")
    hidden = {name for name in everything.pages() if name.startswith(of_superusers)}
    hidden |= {"workspaces/workspace add", "workspaces/membership add"}  # others are invited: it would name every user
    codes = {name: client.get(address).status_code for name, address in everything.pages().items()}
    assert {name for name, code in codes.items() if code != 200} == hidden
    assert {codes[name] for name in hidden} <= {302, 403, 404}


def test_the_list_of_threads_costs_the_same_for_one_thread_and_for_sixty(
    console: Client, everything: Everything, tenant: Tenant
) -> None:
    """Session, user, page of threads with agent, workspace and user; workspaces, agents, tools and assignees for the
    filters; policies and holds, ratings."""
    console.get("/admin/threads/thread/")  # the first request of a sign-in is recorded in the audit trail
    _, few = queries_of(console, "/admin/threads/thread/")
    for number in range(60):
        threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now(), title=f"Number {number}")
    answer, many = queries_of(console, "/admin/threads/thread/")
    assert answer.status_code == 200
    assert (few, many) == (8, 8)


def test_no_page_counts_a_table_or_skips_rows(console: Client, everything: Everything) -> None:
    unbounded = []
    for name, address in everything.pages().items():
        if name.endswith((" preview", " apply")):
            continue  # a plan looks at all that is due, and says of how many
        with CaptureQueriesContext(connection) as captured:
            console.get(address)
        for query in captured:
            sql = query["sql"] or ""  # a prepared statement tells nothing of itself; those are of one thread
            if "threads_dailyactivity" in sql or '"thread_id" IN (' in sql:
                continue  # what was counted by day: thirty of them; what belongs to the threads of a page
            if "OFFSET" in sql or (re.search(r"COUNT\(", sql) and "LIMIT" not in sql):
                unbounded.append((name, sql))
    assert unbounded == []


def test_every_answer_has_a_policy_without_inline_script(console: Client, everything: Everything) -> None:
    for address in ("/admin/", "/admin/login/", "/admin/threads/thread/", "/admin/nothing/here/"):
        policy = console.get(address).headers["Content-Security-Policy"]
        scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
        assert "'unsafe-inline'" not in scripts
        assert "default-src 'none'" in policy


def test_pages_load_nothing_from_elsewhere(console: Client, everything: Everything) -> None:
    for name, address in everything.pages().items():
        html = console.get(address).content.decode()
        assert re.findall(r'(?:src|href|action)="(?:https?:)?//[^"]*"', html) == [], name


@pytest.mark.parametrize("path", ["", "threads/thread/", "workspaces/apikey/add/", "threads/run/"])
def test_who_is_not_staff_is_sent_to_sign_in(path: str, alice: User) -> None:
    for client in (Client(), signed_in(alice)):
        answer = client.get(f"/admin/{path}")
        assert answer.status_code == 302
        assert answer["Location"].startswith("/admin/login/")


def test_the_overview_counts_the_last_day(console: Client, everything: Everything) -> None:
    page = " ".join(console.get("/admin/").content.decode().split())
    assert '<span class="th-card-figure">1</span> <span>threads begun today</span>' in page
    assert '<span class="th-card-figure">1</span> <span>runs queued or going on</span>' in page
    assert '<span class="th-card-figure">0</span> <span>runs failed in 24 hours</span>' in page


def test_a_history_says_how_many_entries_it_has(console: Client, everything: Everything) -> None:
    address = everything.addresses()["workspaces/workspace history"]
    console.post(everything.addresses()["workspaces/workspace budget"], {"day_tokens": "1000"})
    html = " ".join(console.get(address).content.decode().split())
    assert "> 1 entry <" in html


def test_unfolds_search_over_models_is_off(console: Client) -> None:
    assert console.get("/admin/search/?s=a&page=x").status_code == 404
