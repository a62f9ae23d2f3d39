"""The console as a person of the staff uses it, in Chromium: signs in, finds a conversation, reads, takes over."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import browser  # noqa: F401  a fixture
from tests.chat.visitor import Visitor, page_agent
from tests.clients import node
from tests.console.hostile import GROUPS, PAYLOADS, TOGETHER
from tests.console.staff import Staff
from tests.hub import ROOT, Hub, clean_environment

LONG = 20_000
NODES = 6_000  # of a page with seven windows of short messages
MAKE_LONG = """
from threads.models import Thread
from threads.actions.messages import Draft, store
from threadhub.lib import ids
from django.db import transaction
def message(n):
    words = f"Message {{n}} about the parcel" + (" and a lighthouse" if n == 777 else "")
    return Draft(role="user" if n % 2 else "assistant", content=words)
with transaction.atomic():
    thread = Thread.objects.get(pk=ids.decode("thread", {thread_id!r}))
    store(thread=thread, drafts=[message(n) for n in range(1, {count} + 1)])
"""


@pytest.fixture
def staff(browser: Browser, hub: Hub) -> Iterator[Staff]:  # noqa: F811
    someone = Staff.sign_in(browser, hub)
    yield someone
    someone.leave()


def new_thread(hub: Hub, title: str, *said: tuple[str, str], **fields: Any) -> str:
    """A thread with these messages: role and content."""
    made = hub.post(f"/agents/{hub.agent_id}/threads", json={"title": title, **fields}).raise_for_status().json()
    for role, content in said:
        hub.post(f"/threads/{made['id']}/messages", json={"role": role, "content": content}).raise_for_status()
    return str(made["id"])


def faults(staff: Staff) -> list[tuple[str, Any]]:
    """What axe-core finds wrong with the conversation and the desk beside it."""
    axe: Path = node.packages() / "node_modules" / "axe-core" / "axe.min.js"
    staff.page.evaluate(axe.read_text())
    found = staff.page.evaluate("axe.run({include: [['.th-thread']]}, {resultTypes: ['violations']})")
    return [(one["id"], [each["html"] for each in one["nodes"]]) for one in found["violations"]]


def test_a_conversation_is_found_by_its_words_and_read(staff: Staff, hub: Hub) -> None:
    text = "The **zeppelin** left.\n\n```python\nprint('moored')\n```"
    thread = new_thread(hub, "About travel", ("user", "Where is the zeppelin?"), ("assistant", text))
    staff.threads()
    staff.page.get_by_placeholder("Words of titles").fill("zeppelin")
    staff.page.keyboard.press("Enter")
    hit = staff.page.locator("mark.th-hit", has_text="zeppelin").first
    expect(hit).to_be_visible()
    staff.page.get_by_role("link", name="About travel").click()
    expect(staff.page.locator(".th-agent strong")).to_have_text("zeppelin")
    expect(staff.page.locator(".th-agent pre code")).to_contain_text("moored")
    assert thread in staff.page.url
    staff.page.wait_for_load_state()
    staff.page.keyboard.press("c")
    expect(staff.page.locator("[data-th-said]")).not_to_be_empty()


def test_j_and_k_with_shift_go_through_the_list_that_was_filtered(staff: Staff, hub: Hub) -> None:
    for title in ("Walrus one", "Something else", "Walrus two", "Walrus three"):
        new_thread(hub, title)
    staff.threads("?q=Walrus")
    staff.page.get_by_role("link", name="Walrus three").click()
    expect(staff.page).to_have_title("Walrus three | threadhub")
    for key, title in (("J", "Walrus two"), ("J", "Walrus one"), ("K", "Walrus two"), ("J", "Walrus one")):
        staff.page.wait_for_load_state()
        staff.page.keyboard.press(key)
        expect(staff.page).to_have_title(f"{title} | threadhub")
    staff.page.wait_for_load_state()
    staff.page.keyboard.press("J")
    expect(staff.page.locator("[data-th-said]")).to_have_text("This is the oldest thread of the list.")


def test_a_conversation_is_gone_through_by_keys_alone(browser: Browser, hub: Hub) -> None:  # noqa: F811
    someone = Staff.sign_in(browser, hub, permissions=["clipboard-read", "clipboard-write"])
    page, keys = someone.page, someone.page.keyboard
    lines = [("user", f"Line {number} about an octopus") for number in range(1, 31)]
    someone.read(new_thread(hub, "Keys", *lines))
    keys.press("/")
    keys.type("line 13")
    keys.press("Enter")
    expect(page.locator("[data-th-hits] a")).to_contain_text("Line 13 about")
    keys.press("Tab")
    for _ in range(8):  # past what stands between the box and its hits
        if page.evaluate("document.activeElement.matches('[data-th-hits] a')"):
            break
        keys.press("Tab")
    keys.press("Enter")
    expect(page.locator(".th-shown")).to_contain_text("Line 13 about")
    keys.press("g")
    keys.type("17")
    keys.press("Enter")
    expect(page.locator(".th-shown")).to_contain_text("Line 17 about")
    for key, way in (("j", ">"), ("k", "<")):
        before = page.evaluate("scrollY")
        keys.press(key)
        page.wait_for_function(f"(before) => scrollY {way} before", arg=before)
    keys.press("Escape")
    keys.press("c")
    expect(page.locator("[data-th-said]")).to_have_text("The link is copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    page.goto(copied)
    expect(page.locator(".th-shown")).to_be_visible()
    assert "?at=" in copied
    someone.leave()


def test_twenty_thousand_messages_open_at_once_and_only_some_are_in_the_page(staff: Staff, hub: Hub) -> None:
    thread = new_thread(hub, "A long one")
    code = MAKE_LONG.format(thread_id=thread, count=LONG)
    command = [sys.executable, "manage.py", "shell", "-c", code]
    environment = {**clean_environment(), "THREADHUB_DATA_DIR": str(hub.data_dir)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    staff.read(thread)
    messages = staff.page.locator(".th-message")
    expect(messages.last).to_contain_text(f"Message {LONG} about")
    assert messages.count() == 50
    staff.page.locator("#th-goto").fill("10000")
    staff.page.keyboard.press("Enter")
    expect(staff.page.locator(".th-shown")).to_contain_text("Message 10000 about")
    kept, nodes = [], []
    for way in ("scrollTo(0, 0)", "scrollTo(0, document.documentElement.scrollHeight)"):
        for _ in range(8):
            shown = messages.first.get_attribute("id"), messages.last.get_attribute("id")
            staff.page.evaluate(way)
            staff.page.wait_for_function(
                "([first, last]) => { const all = document.querySelectorAll('.th-message');"
                " return all[0].id !== first || all[all.length - 1].id !== last }",
                arg=list(shown),
            )
            kept.append(messages.count())
            nodes.append(staff.page.evaluate("document.querySelectorAll('*').length"))
    assert max(kept) <= 7 * 50
    assert max(nodes) < NODES
    positions = [int(each.get_attribute("data-position") or 0) for each in messages.all()]
    assert positions == list(range(positions[0], positions[0] + len(positions))), "without gap or repetition"
    staff.page.locator("#th-find").fill("lighthouse")
    staff.page.keyboard.press("Enter")
    staff.page.locator("[data-th-hits] a").click()
    expect(staff.page.locator(".th-shown")).to_contain_text("Message 777 about")


def test_a_person_takes_over_answers_on_the_visitors_open_stream_and_hands_back(
    browser: Browser,  # noqa: F811
    staff: Staff,
    hub: Hub,
) -> None:
    context = browser.new_context()
    visitor = Visitor.arrive(context, f"{hub.url}/chat/{page_agent(hub)['public_key']}")
    visitor.ask("/say What can I do for you?")
    visitor.answered()
    staff.threads()
    staff.page.locator(".field-titled a").first.click()
    staff.page.get_by_role("button", name="Take over", exact=True).click()
    expect(staff.page.get_by_text("You answer in this thread. The agent is paused.").last).to_be_visible()
    expect(visitor.page.get_by_text("A person of our team answers here.")).to_be_visible()
    visitor.ask("Is anybody there?")
    expect(staff.page.locator(".th-message", has_text="Is anybody there?")).to_be_visible()
    expect(staff.page.get_by_text("Waits for a person")).to_be_visible()
    staff.page.get_by_role("textbox", name="Your answer").fill("Yes, this is **Olivia**.")
    staff.page.keyboard.press("Control+Enter")
    expect(visitor.page.locator(".th-answer", has_text="Yes, this is Olivia.")).to_contain_text("From a person")
    expect(staff.page.locator(".th-person", has_text="Yes, this is Olivia.")).to_be_visible()
    staff.page.get_by_role("textbox", name="Your answer").fill("Anything else?")
    staff.page.get_by_role("button", name="Send answer").click()
    expect(visitor.page.locator(".th-answer", has_text="Anything else?")).to_be_visible()
    assert faults(staff) == []
    staff.page.get_by_role("button", name="Hand back").click()
    expect(staff.page.get_by_role("button", name="Take over", exact=True)).to_be_visible()
    expect(visitor.page.get_by_text("A person of our team answers here.")).to_have_count(0)
    visitor.ask("/say I am the agent again.")
    expect(visitor.page.locator(".th-answer", has_text="I am the agent again.")).to_be_visible()
    expect(staff.page.locator(".th-agent", has_text="I am the agent again.")).to_be_visible()
    assert visitor.faults == []
    context.close()


def test_a_person_who_comes_late_is_heard_on_a_page_that_was_left_open(
    browser: Browser,  # noqa: F811
    staff: Staff,
    hub: Hub,
) -> None:
    """Twenty minutes after the last question, by the page's clock."""
    context = browser.new_context()
    visitor = Visitor.arrive(context, f"{hub.url}/chat/{page_agent(hub)['public_key']}")
    visitor.page.clock.install()
    visitor.ask("/say That is all I know.")
    visitor.answered()
    for _ in range(20):
        visitor.page.clock.run_for(60_000)
    staff.threads()
    staff.page.locator(".field-titled a").first.click()
    staff.page.get_by_role("button", name="Take over", exact=True).click()
    staff.page.get_by_role("textbox", name="Your answer").fill("I looked it up.")
    staff.page.get_by_role("button", name="Send answer").click()
    expect(staff.page.locator(".th-person", has_text="I looked it up.")).to_be_visible()
    visitor.page.clock.run_for(61_000)
    expect(visitor.page.locator(".th-answer", has_text="I looked it up.")).to_contain_text("From a person")
    context.close()


@pytest.mark.parametrize("at", range(len(GROUPS)))
def test_nothing_that_people_write_does_anything(at: int, staff: Staff, hub: Hub) -> None:
    text = GROUPS[at]
    each = PAYLOADS[at * TOGETHER : (at + 1) * TOGETHER]
    calls = [{"id": one, "name": one, "arguments": {text: text}} for one in each]
    thread = new_thread(hub, text, ("user", text), external_ref=text, metadata={text: text})
    path = f"/threads/{thread}/messages"
    for message in (
        {"role": "assistant", "content": text, "tool_calls": calls},
        {"role": "tool", "tool_call_id": each[0], "name": each[0], "tool_result": {text: text}},
        {"role": "tool", "tool_call_id": "unknown", "name": each[1], "tool_result": {"error": text}},
        {"role": "system", "content": text, "title": text},
    ):
        hub.post(path, json=message).raise_for_status()
    staff.read(thread)
    staff.page.locator("#th-labels").fill(",".join(one.replace(",", " ")[:40] for one in each))
    staff.page.get_by_role("button", name="Save", exact=True).click()
    staff.page.locator("#th-note").fill(text)
    staff.page.get_by_role("button", name="Add note").click()
    expect(staff.page.locator(".th-note-text").first).to_be_visible()
    staff.page.get_by_role("button", name="Take over", exact=True).click()
    staff.page.get_by_role("textbox", name="Your answer").fill(text)
    staff.page.get_by_role("button", name="Send answer").click()
    expect(staff.page.locator(".th-person")).to_be_visible()
    staff.page.locator("#th-find").fill("alert")
    staff.page.keyboard.press("Enter")
    expect(staff.page.locator("[data-th-hits]")).to_be_visible()
    staff.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    staff.threads("?q=alert")
    expect(staff.page.locator(".field-titled").first).to_be_visible()


def test_there_are_forty_of_them() -> None:
    assert len(set(PAYLOADS)) == 40


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_axe_finds_nothing_wrong_with_a_conversation(
    browser: Browser,  # noqa: F811
    hub: Hub,
    scheme: Any,
    width: int,
) -> None:
    someone = Staff.sign_in(browser, hub, viewport={"width": width, "height": 844}, color_scheme=scheme)
    text = (
        "# Title\n\nText with a [link](https://example.org) and `code`.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quoted"
    )
    someone.read(new_thread(hub, "Looked at", ("user", "Hello"), ("assistant", text)))
    assert faults(someone) == []
    assert someone.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    someone.leave()
