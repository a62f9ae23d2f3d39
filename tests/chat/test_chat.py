"""Chatting in a real browser: asked, streamed, and whole again after whatever happens meanwhile."""

import os
import re

from playwright.sync_api import BrowserContext, Route, expect

from tests import processes
from tests.chat.visitor import Visitor, page_agent
from tests.hub import Hub

SLOW = "/slow 0.05 /length 80 words"
WHOLE = " ".join(["word"] * 80)


def ask_slowly(visitor: Visitor, text: str = SLOW) -> None:
    """An answer of 80 words in four seconds, which has begun."""
    visitor.ask(f"{text}\n/say word")
    visitor.writes()


def test_it_shows_the_answer_as_it_is_written(visitor: Visitor) -> None:
    ask_slowly(visitor)
    expect(visitor.page.locator(".th-answer")).to_have_attribute("aria-busy", "true")
    assert 0 < len(visitor.last_answer()) < len(WHOLE)
    assert visitor.answered() == [WHOLE]


def test_a_conversation_goes_on(visitor: Visitor) -> None:
    visitor.ask("Hello!")
    assert visitor.answered() == ["You said: Hello!"]
    visitor.ask("And again.")
    assert visitor.answered(2)[1] == "You said: And again."
    visitor.page.reload()
    assert visitor.answered(2) == ["You said: Hello!", "You said: And again."]


def test_a_reload_in_mid_answer_loses_and_doubles_nothing(visitor: Visitor) -> None:
    ask_slowly(visitor)
    visitor.page.reload()
    visitor.writes()
    visitor.page.reload()
    assert visitor.answered() == [WHOLE]
    expect(visitor.page.locator(".th-question")).to_have_count(1)


def test_a_reload_before_the_hub_has_answered_asks_once(visitor: Visitor, hub: Hub) -> None:
    visitor.ask("First.")
    visitor.answered()
    visitor.page.route("**/invoke", lambda route: route.abort())
    visitor.ask("/say Second answer.")
    expect(visitor.page.get_by_role("status").filter(has_text="Trying again")).to_be_visible()
    visitor.page.unroute("**/invoke")
    visitor.page.reload()
    assert visitor.answered(2)[1] == "Second answer."
    expect(visitor.page.locator(".th-question")).to_have_count(2)


def test_a_killed_web_process_costs_no_word(visitor: Visitor, hub: Hub) -> None:
    """The stream is taken up where it ended, at the server that is started in the place of the killed one."""
    known: list[str] = []
    visitor.page.on("request", lambda asked: known.append(asked.headers.get("last-event-id", "")))
    ask_slowly(visitor, "/slow 0.1 /length 80 words")
    port = hub.url.rpartition(":")[2]
    servers = [
        one
        for one in processes.descendants(os.getpid())
        if re.search(rf"threadhub\.launch\.web .*--port {port}", processes.command_of(one))
    ]
    assert servers
    for server in servers:
        processes.kill(server)
    expect(visitor.page.get_by_role("status").filter(has_text="Trying again")).to_be_visible()
    assert visitor.answered() == [WHOLE]
    expect(visitor.page.locator(".th-error")).to_have_count(0)
    assert any(number.isdigit() and int(number) > 0 for number in known)


def test_sent_twice_it_is_asked_once(visitor: Visitor) -> None:
    box = visitor.page.get_by_role("textbox", name="Message")
    box.fill("/say once")
    box.evaluate("""box => { const form = box.closest('form'); form.requestSubmit(); form.requestSubmit(); }""")
    assert visitor.answered() == ["once"]
    expect(visitor.page.locator(".th-question")).to_have_count(1)


def test_it_is_stopped(visitor: Visitor) -> None:
    ask_slowly(visitor, "/slow 0.2 /length 500 words")
    expect(visitor.page.locator(".th-text").last).to_contain_text("word " * 5)  # no double click of who has just asked
    visitor.page.get_by_role("button", name="Stop the answer").click()
    expect(visitor.page.get_by_text("Stopped.", exact=True).last).to_be_visible()
    assert 0 < visitor.last_answer().count("word") < 500
    visitor.ask("/say on with it")
    assert visitor.answered(2)[1] == "on with it"


def test_a_tool_call_is_shown_folded_with_arguments_and_result(visitor: Visitor) -> None:
    visitor.ask('/tool current_time {"zone": "Europe/Madrid"}\n/say It is late.')
    visitor.answered()
    for _ in range(2):
        call = visitor.page.locator("details")
        expect(call.locator("summary")).to_contain_text("current_time done")
        expect(call.locator("pre").first).to_be_hidden()
        call.locator("summary").click()
        expect(call.locator("pre").first).to_contain_text('"zone": "Europe/Madrid"')
        expect(call.locator("pre").last).to_contain_text('"time": "20')
        visitor.page.reload()


def test_a_failed_answer_says_why_and_is_asked_again_in_its_place(visitor: Visitor) -> None:
    visitor.ask("/fail provider_refused")
    alert = visitor.page.get_by_role("alert")
    expect(alert).to_contain_text("refused")
    visitor.page.reload()
    alert.get_by_role("button", name="Try again").click()
    expect(visitor.page.locator(".th-answer[aria-busy]")).to_have_count(0)
    expect(alert).to_have_count(1)
    expect(visitor.page.locator(".th-question")).to_have_count(1)


def test_an_answer_is_given_again_and_both_versions_stay(visitor: Visitor) -> None:
    visitor.ask("/say the answer")
    visitor.answered()
    visitor.page.get_by_role("button", name="Answer again").click()
    expect(visitor.page.get_by_text("Version 2 of 2")).to_be_visible()
    assert visitor.answered() == ["the answer"]
    visitor.page.get_by_role("button", name="Previous version").click()
    expect(visitor.page.get_by_text("Version 1 of 2")).to_be_visible()


def test_an_opinion_of_an_answer_is_given_changed_and_taken_back(visitor: Visitor, hub: Hub) -> None:
    visitor.ask("/say good?")
    visitor.answered()
    good = visitor.page.get_by_role("button", name="Good answer")
    good.click()
    expect(good).to_have_attribute("aria-pressed", "true")
    visitor.page.reload()
    expect(good).to_have_attribute("aria-pressed", "true")
    bad = visitor.page.get_by_role("button", name="Bad answer")
    bad.click()
    expect(good).to_have_attribute("aria-pressed", "false")
    bad.click()
    expect(bad).to_have_attribute("aria-pressed", "false")


def test_an_opinion_given_while_the_thread_is_loaded_again_is_shown(visitor: Visitor) -> None:
    visitor.ask("/say good?")
    visitor.answered()
    held: list[Route] = []
    visitor.page.route("**/feedback", lambda route: held.append(route))
    good = visitor.page.get_by_role("button", name="Good answer")
    good.click()
    answer = visitor.page.locator(".th-answer").element_handle()
    assert answer
    visitor.page.get_by_role("button", name="Conversations").click()
    visitor.page.get_by_role("navigation", name="Conversations").get_by_role("button").click()
    visitor.page.wait_for_function("answer => !answer.isConnected", arg=answer)
    expect(good).to_have_attribute("aria-pressed", "false")
    held[0].continue_()
    expect(good).to_have_attribute("aria-pressed", "true")


def test_an_opinion_given_in_another_tab_is_shown(visitor: Visitor, context: BrowserContext) -> None:
    visitor.ask("/say good?")
    visitor.answered()
    other = Visitor.arrive(context, visitor.page.url)
    other.answered()
    other.page.get_by_role("button", name="Bad answer").click()
    expect(visitor.page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")


def test_a_thread_that_is_being_loaded_is_not_loaded_again_for_its_newest_message(visitor: Visitor) -> None:
    visitor.ask("/say once")
    visitor.answered()
    held: list[Route] = []
    visitor.page.route("**/messages?order=desc&take=50", lambda route: held.append(route))
    with visitor.page.expect_response("**/messages?order=desc&take=1"):
        visitor.page.reload()
    visitor.page.wait_for_timeout(100)  # for what it makes of that message
    assert len(held) == 1
    held[0].continue_()
    assert visitor.answered() == ["once"]
    visitor.page.wait_for_timeout(100)
    assert len(held) == 1


def test_earlier_conversations_are_gone_back_to(visitor: Visitor) -> None:
    visitor.ask("/say in the first")
    visitor.answered()
    visitor.page.get_by_role("button", name="New conversation").click()
    expect(visitor.page.locator(".th-answer")).to_have_count(0)
    visitor.ask("/say in the second")
    assert visitor.answered() == ["in the second"]
    visitor.page.get_by_role("button", name="Conversations").click()
    rows = visitor.page.get_by_role("navigation", name="Conversations").get_by_role("button")
    expect(rows).to_have_count(2)
    rows.last.click()
    expect(visitor.page.locator(".th-answer")).to_contain_text("in the first")


def test_files_go_with_the_question(visitor: Visitor) -> None:
    pdf = {"name": "report.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 little"}
    visitor.page.locator("input[type=file]").set_input_files([pdf])  # type: ignore[list-item]
    expect(visitor.page.get_by_role("button", name="Remove report.pdf")).to_be_visible()
    visitor.ask("What is this?")
    visitor.answered()
    visitor.page.reload()
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("button", name="report.pdf").click()
    assert download.value.suggested_filename == "report.pdf"
    assert download.value.path().read_bytes() == b"%PDF-1.4 little"


def test_a_token_that_expired_is_renewed_unnoticed(visitor: Visitor) -> None:
    visitor.ask("/say one")
    visitor.answered()
    spoil(visitor, "chat_token")
    visitor.ask("/say two")
    assert visitor.answered(2)[1] == "two"


def test_a_revoked_session_is_said_to_have_ended_and_a_new_one_begins(context: BrowserContext, hub: Hub) -> None:
    agent = page_agent(hub)
    visitor = Visitor.arrive(context, f"{hub.url}/chat/{agent['public_key']}")
    ask_slowly(visitor, "/slow 0.2 /length 500 words")
    ended = hub.post("/chat_sessions/revoke", json={"agent_id": agent["id"]}).json()
    assert ended == {"ended": 1}
    notice = visitor.page.get_by_role("alert")
    expect(notice).to_contain_text("This chat has ended.")
    expect(visitor.page.get_by_role("textbox", name="Message")).to_be_disabled()
    assert "word" in visitor.last_answer()
    notice.get_by_role("button", name="Begin a new chat").click()
    visitor.ask("/say fresh")
    assert visitor.answered() == ["fresh"]
    assert visitor.faults == []


def test_a_question_that_an_ended_session_refused_is_not_lost(context: BrowserContext, hub: Hub) -> None:
    agent = page_agent(hub)
    visitor = Visitor.arrive(context, f"{hub.url}/chat/{agent['public_key']}")
    visitor.ask("/say one")
    visitor.answered()
    hub.post("/chat_sessions/revoke", json={"agent_id": agent["id"]})
    visitor.ask("/say two")
    visitor.page.get_by_role("button", name="Begin a new chat").click()
    visitor.page.get_by_role("textbox", name="Message").press("Enter")
    assert visitor.answered() == ["two"]


def test_what_one_tab_asks_the_other_shows(visitor: Visitor, context: BrowserContext, chat_url: str) -> None:
    visitor.ask("/say first")
    visitor.answered()
    other = Visitor.arrive(context, chat_url)
    assert other.answered() == ["first"]
    ask_slowly(visitor)
    other.writes()
    assert other.answered(2)[1] == visitor.answered(2)[1] == WHOLE


def test_it_is_used_without_a_mouse(visitor: Visitor) -> None:
    page = visitor.page
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    page.keyboard.type("/say by keyboard")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("/say and two lines")
    page.keyboard.press("Enter")
    assert visitor.answered() == ["by keyboard\nand two lines"]
    reached = set()
    for _ in range(14):
        page.keyboard.press("Shift+Tab")
        reached.add(page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.tagName"))
    assert {
        "Conversations",
        "New conversation",
        "Messages",
        "Copy",
        "Good answer",
        "Bad answer",
        "Answer again",
    } <= reached
    page.get_by_role("button", name="Conversations").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("navigation").get_by_role("button").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("navigation")).to_be_hidden()
    expect(page.get_by_role("button", name="Conversations")).to_be_focused()


def test_sentences_are_read_aloud_not_words(visitor: Visitor) -> None:
    visitor.page.evaluate(
        """() => {
            window.spoken = [];
            const region = document.querySelector('[aria-live=polite]');
            const heard = (one) => one.addedNodes.forEach((node) => window.spoken.push(node.textContent));
            new MutationObserver((records) => records.forEach(heard)).observe(region, { childList: true });
        }"""
    )
    visitor.ask(
        "/slow 0.1\n/say This is a first sentence. This is a second one, somewhat longer than it was! And a third"
    )
    visitor.answered()
    expect(visitor.page.locator("[aria-live=polite]")).to_contain_text("complete")
    spoken = visitor.page.evaluate("window.spoken")
    assert " ".join(spoken).startswith("This is a first sentence. This is a second one")
    assert all(re.search(r"[.!?]$", one) for one in spoken)
    assert len(spoken) <= 5


def spoil(visitor: Visitor, name: str) -> None:
    """Make a token of the stored session one that the hub refuses, as an expired one."""
    visitor.page.evaluate(
        """(name) => {
            const key = Object.keys(localStorage).find((each) => each.startsWith('threadhub:'));
            const kept = JSON.parse(localStorage[key]);
            kept.session[name] += 'x';
            localStorage[key] = JSON.stringify(kept);
        }""",
        name,
    )
