"""A branch that was left: read, and searched, as it stands."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, expect

from tests.browser import browser  # noqa: F401  a fixture
from tests.conftest import Tenant
from tests.console.staff import Staff
from tests.hub import Hub
from threads import access, branches
from threads.actions import threads
from threads.actions.messages import Draft, append
from threads.lifecycle import acts
from threads.models import Thread


def say(thread: Thread, tenant: Tenant, text: str) -> None:
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content=text)])


@pytest.fixture
def forked(tenant: Tenant) -> Thread:
    """Branch 1 with two messages about a lighthouse, left for branch 2 before the second."""
    thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now())
    say(thread, tenant, "a lighthouse, to begin with")
    say(thread, tenant, "the old lighthouse")
    with transaction.atomic():
        branches.fork(thread=access.lock(thread=thread), before=2, actor=tenant.actor, now=timezone.now())
    say(thread, tenant, "the new lighthouse")
    thread.refresh_from_db()
    return thread


@pytest.mark.parametrize("archived", [False, True], ids=["live", "archived"])
@pytest.mark.parametrize(("query", "own", "other"), [("branch=1&", "old", "new"), ("branch=2&", "new", "old")])
def test_words_are_looked_for_in_the_branch_that_is_read(
    console: Client, tenant: Tenant, forked: Thread, archived: bool, query: str, own: str, other: str
) -> None:
    if archived:
        acts.archive(actor=tenant.actor, thread=forked, now=timezone.now())
    found = console.get(f"/admin/threads/thread/{forked.wire_id}/find/?{query}q=lighthouse").content.decode()
    text = re.sub(r"<[^>]+>", "", found)
    assert "2 messages with" in text
    assert (f"the {own} lighthouse" in text, f"the {other} lighthouse" in text) == (True, False)
    assert found.count(f'href="?{query.replace("&", "&amp;")}at=') == 2


def test_without_a_branch_it_is_the_active_one(console: Client, forked: Thread) -> None:
    found = console.get(f"/admin/threads/thread/{forked.wire_id}/find/?q=the").content.decode()
    assert ("new" in found, "old" in found) == (True, False)
    assert console.get(f"/admin/threads/thread/{forked.wire_id}/find/?branch=3&q=the").status_code == 404


def test_what_goes_on_elsewhere_is_not_shown_in_it(console: Client, forked: Thread) -> None:
    address = f"/admin/threads/thread/{forked.wire_id}/change/"
    told = [("data-th-live-url" in console.get(f"{address}?branch={number}").content.decode()) for number in (1, 2)]
    assert told == [False, True]


class TestInBrowser:
    @pytest.fixture
    def staff(self, browser: Browser, hub: Hub) -> Iterator[Staff]:  # noqa: F811
        someone = Staff.sign_in(browser, hub)
        yield someone
        someone.leave()

    @pytest.fixture
    def thread_id(self, hub: Hub) -> str:
        made: Any = hub.post(f"/agents/{hub.agent_id}/threads", json={}).raise_for_status().json()
        thread = str(made["id"])
        for text in ("a lighthouse", "the old lighthouse"):
            said = hub.post(f"/threads/{thread}/messages", json={"role": "user", "content": text}).raise_for_status()
        edited = {"prompt": "the new lighthouse"}
        hub.post(f"/threads/{thread}/messages/{said.json()['id']}/edit", json=edited).raise_for_status()
        return thread

    def test_a_search_stays_in_the_branch(self, staff: Staff, thread_id: str) -> None:
        staff.page.goto(f"{staff.hub.url}/admin/threads/thread/{thread_id}/change/?branch=1")
        staff.page.get_by_placeholder("Find words").fill("lighthouse")
        staff.page.keyboard.press("Enter")
        hits = staff.page.locator("[data-th-hits] li")
        expect(hits).to_have_count(2)
        expect(hits.last).to_contain_text("the old lighthouse")
        hits.last.get_by_role("link").click()
        expect(staff.page.locator(".th-message", has_text="the old lighthouse")).to_be_in_viewport()

    def test_a_note_that_is_being_written_outlives_a_take_over_by_somebody_else(
        self, staff: Staff, thread_id: str
    ) -> None:
        staff.page.goto(f"{staff.hub.url}/admin/threads/thread/{thread_id}/change/")
        staff.page.get_by_label("A note for colleagues").fill("half a thought")
        other = staff.page.context.new_page()
        other.goto(staff.page.url)
        other.get_by_role("button", name="Take over").click()
        expect(other.locator("#th-answer")).to_be_visible()
        staff.page.bring_to_front()
        staff.page.mouse.move(5, 5)
        expect(staff.page.locator("[data-th-said]")).to_contain_text("Who answers in this thread has changed")
        expect(staff.page.get_by_label("A note for colleagues")).to_have_value("half a thought")
