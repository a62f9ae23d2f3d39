"""A conversation as staff live with it, in Chromium: in their own time, while it is written, answered with words that
lie ready."""

from collections.abc import Callable, Iterator
from datetime import datetime
from secrets import token_hex
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import browser  # noqa: F401  a fixture
from tests.console.staff import Staff, new_thread
from tests.hub import Hub
from threadhub.lib import ids

LONGER = "(before) => document.querySelector('[data-th-now-text]').textContent.length > before"


@pytest.fixture
def staff(browser: Browser, hub: Hub) -> Iterator[Staff]:  # noqa: F811
    someone = Staff.sign_in(browser, hub)
    yield someone
    someone.leave()


def spelled(moment: str, zone: str) -> str:
    """A time of the API as an American of that zone reads it."""
    there = datetime.fromisoformat(moment).astimezone(ZoneInfo(zone))
    return f"{there:%b} {there.day}, {there.year}, {there.hour % 12 or 12}:{there:%M} {there:%p}"


def moments(hub: Hub, thread: str) -> list[str]:
    """When its messages were said, as the API has it."""
    return [each["created_at"] for each in hub.get(f"/threads/{thread}/messages").raise_for_status().json()["data"]]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/St_Johns"])
def test_times_are_those_of_the_readers_zone(browser: Browser, hub: Hub, zone: str) -> None:  # noqa: F811
    """Of what the page was made with, of what comes while it is open, and of the list."""
    someone = Staff.sign_in(browser, hub, timezone_id=zone, locale="en-US")
    thread = new_thread(hub, title := f"Times {token_hex(4)}", ("user", "What time is it?"))
    (first,) = moments(hub, thread)
    someone.read(thread)
    times = someone.page.locator(".th-message time")
    expect(times).to_have_text([spelled(first, zone)])
    assert times.first.get_attribute("title") == f"{datetime.fromisoformat(first):%Y-%m-%d %H:%M} UTC"
    hub.post(f"/threads/{thread}/messages", json={"role": "user", "content": "And now?"}).raise_for_status()
    expect(times).to_have_text([spelled(each, zone) for each in sorted(moments(hub, thread))])
    someone.threads(f"?q={title.partition(' ')[2]}")
    expect(someone.page.locator(".field-active time")).to_have_text([spelled(max(moments(hub, thread)), zone)])
    someone.leave()


def test_what_is_selected_focused_and_open_stays_so_when_something_arrives(staff: Staff, hub: Hub) -> None:
    page, thread = staff.page, new_thread(hub, "Copied", ("user", "What is the number?"), ("assistant", "It is 4711."))
    calls = [{"id": "1", "name": "look_up", "arguments": {"order": 5}}]
    path = f"/threads/{thread}/messages"
    hub.post(path, json={"role": "assistant", "content": "", "tool_calls": calls}).raise_for_status()
    hub.post(f"/threads/{thread}/invoke", json={"prompt": "/say Here."}).raise_for_status()
    staff.read(thread)
    call, messages = page.locator(".th-call"), page.locator(".th-message")
    expect(messages).to_have_count(5)
    call.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(call).to_have_attribute("open", "")
    select = "(said) => getSelection().selectAllChildren(said)"
    messages.nth(1).locator(".th-prose").evaluate(select)
    hub.post(path, json={"role": "user", "content": "One more thing"}).raise_for_status()
    hub.post(f"/threads/{thread}/invoke", json={"prompt": "/say And here."}).raise_for_status()
    expect(messages).to_have_count(8)
    expect(page.locator(".th-run")).to_have_count(2)
    assert page.evaluate("getSelection().toString().trim()") == "It is 4711."
    expect(call.locator("summary")).to_be_focused()
    expect(call).to_have_attribute("open", "")
    assert [int(each.get_attribute("data-position") or 0) for each in messages.all()] == list(range(1, 9))
    order = "[...document.querySelector('[data-th-window]').children].map((one) => one.classList[0])"
    assert page.evaluate(order) == [*["th-message"] * 5, "th-run", *["th-message"] * 3, "th-run"]


def ask_and_leave(hub: Hub, thread: str, prompt: str) -> None:
    """Ask, and go when the answer begins; it is written on."""
    with hub.stream(f"/threads/{thread}/invoke", json={"prompt": prompt}) as answer:
        next(line for line in answer.iter_lines() if "content_block_delta" in line)


def test_an_answer_grows_while_it_is_written(staff: Staff, hub: Hub) -> None:
    page, thread = staff.page, new_thread(hub, "Growing")
    ask_and_leave(hub, thread, "/slow 0.2 /length 900\n<b>word</b>")
    staff.read(thread)
    written = page.locator("[data-th-now-text]")
    expect(page.locator("[data-th-now-status]")).to_have_text("Answering …")
    expect(written).to_contain_text("You said: <b>word</b>")
    for _ in range(2):
        page.wait_for_function(LONGER, arg=len(written.inner_text()))
    seen = written.inner_text().split()
    expect(written.locator("b")).to_have_count(0)
    expect(page.locator(".th-message")).to_have_count(1)  # the question: what is written is none yet
    (run,) = hub.get(f"/threads/{thread}/runs").raise_for_status().json()["data"]
    hub.post(f"/threads/{thread}/runs/{run['id']}/cancel").raise_for_status()
    answer = page.locator(".th-agent")
    expect(answer.locator(".th-badge")).to_have_text("Cut short")
    expect(page.locator("[data-th-now]")).to_be_hidden()
    expect(page.locator(".th-run .th-badge")).to_have_text("Cancelled")
    assert answer.locator(".th-prose").inner_text().split()[: len(seen)] == seen


def test_the_list_stays_the_filtered_one_through_all_that_is_done_in_a_thread(staff: Staff, hub: Hub) -> None:
    """Filter, open, jump about, take over, answer, hand back, next; and back to the list."""
    page, word = staff.page, f"walrus{token_hex(4)}"
    titles = [f"{word} one", f"{word} two", "Something else", f"{word} three"]
    for title in titles:
        new_thread(hub, title, ("user", "Hello?"), ("assistant", "Hm."), ("user", "?"))
    staff.threads(f"?q={word}")
    page.get_by_role("link", name=titles[3]).click()
    page.locator("#th-goto").fill("2")
    page.keyboard.press("Enter")
    expect(page.locator(".th-shown")).to_contain_text("Hm.")
    page.get_by_role("button", name="Take over", exact=True).click()
    page.get_by_role("textbox", name="Your answer").fill("Yes.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".th-person")).to_be_visible()
    page.get_by_role("button", name="Hand back").click()
    expect(page.get_by_role("button", name="Take over", exact=True)).to_be_visible()
    page.locator(".th-position").first.click()
    page.wait_for_load_state()
    page.keyboard.press("J")
    expect(page).to_have_title(f"{titles[1]} | threadhub")
    page.wait_for_load_state()
    page.keyboard.press("u")
    expect(page.locator(".field-titled")).to_have_count(3)
    assert page.url.endswith(f"/admin/threads/thread/?q={word}")


def test_the_name_that_a_thread_is_given_shows_while_it_is_open(staff: Staff, hub: Hub) -> None:
    thread, name = new_thread(hub, "Hello?", ("user", "Hello?")), f"A <b>$& parcel</b> {token_hex(4)}"
    staff.read(thread)
    expect(staff.page).to_have_title("Hello? | threadhub")
    hub.patch(f"/threads/{thread}", json={"title": name}).raise_for_status()
    expect(staff.page).to_have_title(f"{name} | threadhub")
    expect(staff.page.locator("[data-th-heading]")).to_have_text(name)


def test_an_answer_whose_arrival_was_not_told_may_be_sent_again(staff: Staff, hub: Hub) -> None:
    page = staff.page
    staff.read(new_thread(hub, "Cut off", ("user", "Hello?")))
    page.get_by_role("button", name="Take over", exact=True).click()
    box, said = page.get_by_role("textbox", name="Your answer"), page.locator(".th-person")
    box.fill("Good morning")
    page.route("**/desk/answer/**", lambda route: (route.fetch(), route.abort()), times=1)
    box.press("Control+Enter")
    expect(page.locator("[data-th-answer-fault]")).to_contain_text("may not have arrived")
    box.press("Control+Enter")
    expect(box).to_have_value("")
    expect(said).to_have_count(1)
    box.fill("Good morning")  # meant, this time
    box.press("Control+Enter")
    expect(said).to_have_count(2)


def test_what_comes_before_the_page_first_looks_is_shown(staff: Staff, hub: Hub) -> None:
    page, thread = staff.page, new_thread(hub, "Slow to look", ("user", "Hello?"))
    page.route("**/live/", lambda route: route.abort())
    staff.read(thread)
    hub.post(f"/threads/{thread}/messages", json={"role": "user", "content": "Anybody?"}).raise_for_status()
    page.unroute("**/live/")
    expect(page.locator(".th-message")).to_have_count(2)


@pytest.fixture
def reasons(hub: Hub) -> Iterator[Callable[[bool], None]]:
    """Has the workspace ask for reasons, or not."""

    def wanted(whether: bool) -> None:
        hub.patch(f"/workspaces/{hub.workspace_id}", json={"transcript_reason": whether}).raise_for_status()

    yield wanted
    wanted(False)


def test_a_reason_that_is_due_again_is_asked_for_and_nothing_written_is_lost(
    staff: Staff, hub: Hub, reasons: Callable[[bool], None]
) -> None:
    page, question = staff.page, "Why do you read this conversation?"
    only_read = page.context.new_page()
    only_read.goto(f"{hub.url}/admin/threads/thread/{new_thread(hub, 'Read', ('user', 'Hello?'))}/change/?at=1")
    staff.read(new_thread(hub, "Answered", ("user", "Hello?")))
    page.get_by_role("button", name="Take over", exact=True).click()
    box = page.get_by_role("textbox", name="Your answer")
    box.fill("Good morning")
    reasons(True)
    box.press("Control+Enter")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Say why you read").click()
    opened.value.get_by_label(question).fill("The visitor asked for a person")
    opened.value.get_by_role("button", name="Read the conversation").click()
    expect(opened.value.locator(".th-message")).to_have_count(1)
    opened.value.close()
    expect(box).to_have_value("Good morning")
    box.press("Control+Enter")
    expect(page.locator(".th-person")).to_have_count(1)
    expect(page.get_by_role("link", name="Say why you read")).to_have_count(0)
    only_read.bring_to_front()
    only_read.get_by_label(question).fill("A complaint")
    only_read.get_by_role("button", name="Read the conversation").click()
    expect(only_read.locator(".th-shown")).to_contain_text("Hello?")


def test_a_canned_answer_is_put_where_somebody_writes(staff: Staff, hub: Hub) -> None:
    page, title = staff.page, f"Greeting {token_hex(4)}"
    page.goto(f"{hub.url}/admin/threads/cannedanswer/add/")
    page.locator("#id_workspace").select_option(value=str(ids.decode("workspace", hub.workspace_id)))
    page.locator("#id_title").fill(title)
    page.locator("#id_text").fill("good morning!\nHow can we help?")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("link", name=title).first).to_be_visible()

    staff.read(new_thread(hub, "Canned", ("user", "Hello?")))
    page.get_by_role("button", name="Take over", exact=True).click()
    box, canned = page.get_by_role("textbox", name="Your answer"), page.get_by_label("Canned answers")
    box.fill("Dear Ann,  Yours")
    box.evaluate("(box) => box.setSelectionRange(10, 10)")
    canned.select_option(label=title)
    expect(box).to_have_value("Dear Ann, good morning!\nHow can we help? Yours")
    expect(box).to_be_focused()
    page.keyboard.type(" ")
    canned.select_option(label=title)  # once more: the choice was taken back
    expect(box).to_have_value("Dear Ann," + " good morning!\nHow can we help?" * 2 + " Yours")
    box.press("Control+Enter")
    expect(page.locator(".th-person .th-prose")).to_contain_text("How can we help? good morning!")
    expect(box).to_have_value("")
