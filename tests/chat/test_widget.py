"""`/chat/widget.js` on somebody else's page: a tiny web server of its own origin."""

import functools
import hashlib
import hmac
import http.server
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.chat.visitor import Visitor, page_agent
from tests.hub import Hub


class Site:
    """A shop's page, which has the widget in it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.numbers = itertools.count()

    def page(self, hub: Hub, agent_key: str, attributes: str = "", before: str = "") -> str:
        """Writes the page; its address. Each has one of its own: the browser takes what was written in the same second
        under the same name for the page that it has."""
        widget = f'<script src="{hub.url}/chat/widget.js" data-agent="{agent_key}" {attributes} defer></script>'
        style = "<style>* { font-size: 40px !important; color: red !important; display: block }</style>"
        head = f"<!doctype html><html lang=en><meta charset=utf-8><title>Shop</title>{style}{before}{widget}"
        name = f"{next(self.numbers)}.html"
        (self.folder / name).write_text(f"{head}<h1>Shop</h1><button id=own>Buy</button>")
        return f"{self.url}/{name}"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Site(tmp_path, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


def sessions_of(hub: Hub, agent: dict[str, Any]) -> list[str]:
    """The visitors that have a session with the agent."""
    rows = hub.get("/chat_sessions?take=100").raise_for_status().json()["data"]
    return [row["external_ref"] for row in rows if row["agent_id"] == agent["id"]]


def test_a_page_of_an_allowed_origin_has_a_chat(context: BrowserContext, hub: Hub, site: Site) -> None:
    agent = page_agent(hub, site.url)
    visitor = Visitor.arrive(context, site.page(hub, agent["public_key"]))
    visitor.page.get_by_role("button", name="Open chat").click()
    visitor.ask("/slow 0.05 /length 40 words\n/say word")
    visitor.writes()
    visitor.page.reload()
    visitor.page.get_by_role("button", name="Open chat").click()
    assert visitor.answered() == [" ".join(["word"] * 40)]
    visitor.page.get_by_role("button", name="Good answer").click()
    expect(visitor.page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")
    assert visitor.faults == []
    assert visitor.outside(hub.url, site.url) == []
    assert context.cookies() == []


def test_a_page_of_another_origin_is_told_so(context: BrowserContext, hub: Hub, site: Site) -> None:
    agent = page_agent(hub, "https://shop.example.org")
    visitor = Visitor.arrive(context, site.page(hub, agent["public_key"]))
    visitor.page.get_by_role("button", name="Open chat").click()
    visitor.ask("Hello?")
    alert = visitor.page.get_by_role("alert")
    expect(alert).to_be_visible()
    expect(alert).to_contain_text("not available on this page")
    assert sessions_of(hub, agent) == []


def test_it_opens_and_closes_by_keyboard_and_gives_the_focus_back(
    context: BrowserContext, hub: Hub, site: Site
) -> None:
    visitor = Visitor.arrive(context, site.page(hub, page_agent(hub, site.url)["public_key"]))
    page = visitor.page
    button = page.get_by_role("button", name="Open chat")
    expect(button).to_have_attribute("aria-expanded", "false")
    page.locator("#own").focus()
    page.keyboard.press("Tab")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Chat")).to_be_visible()
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(button).to_be_focused()


def test_the_page_says_what_it_says_and_how_it_looks(context: BrowserContext, hub: Hub, site: Site) -> None:
    words = 'lang="de" data-lang="de" data-title="Hilfe" data-string-launcher="Hilfe öffnen" data-theme="dark"'
    visitor = Visitor.arrive(context, site.page(hub, page_agent(hub, site.url)["public_key"], words))
    visitor.page.get_by_role("button", name="Hilfe öffnen").click()
    panel = visitor.page.get_by_role("dialog", name="Hilfe")
    expect(panel).to_be_visible()
    assert visitor.page.locator("#threadhub-chat").get_attribute("lang") == "de"
    assert panel.evaluate("panel => getComputedStyle(panel).backgroundColor") == "rgb(23, 23, 29)"
    # The page's own styles end at the shadow tree.
    assert panel.evaluate("panel => getComputedStyle(panel.querySelector('textarea')).fontSize") == "16px"


def test_on_a_phone_it_fills_the_screen(context: BrowserContext, hub: Hub, site: Site) -> None:
    visitor = Visitor.arrive(context, site.page(hub, page_agent(hub, site.url)["public_key"]))
    visitor.page.set_viewport_size({"width": 390, "height": 780})
    visitor.page.emulate_media(reduced_motion="reduce")
    visitor.page.get_by_role("button", name="Open chat").click()
    panel = visitor.page.get_by_role("dialog")
    expect(panel).to_be_visible()
    assert panel.bounding_box() == {"x": 0, "y": 0, "width": 390, "height": 780}
    assert panel.evaluate("panel => getComputedStyle(panel).animationName") == "none"


def test_a_visitor_whom_the_server_knows_finds_their_threads_and_nobody_elses(
    context: BrowserContext, hub: Hub, site: Site
) -> None:
    agent = page_agent(hub, site.url, identity_required=True)
    secret = hub.post(f"/agents/{agent['id']}/identity_secret", json={}).json()["identity_secret"]

    def arrive(reference: str | None) -> Visitor:
        proof = hmac.new(secret.encode(), (reference or "").encode(), hashlib.sha256).hexdigest()
        identity = f"{{external_ref: '{reference}', identity_proof: '{proof}'}}" if reference else "undefined"
        before = f"<script>window.threadhub = {{ identity: async () => ({identity}) }}</script>"
        visitor = Visitor.arrive(context, site.page(hub, agent["public_key"], "data-open", before))
        expect(visitor.page.get_by_role("textbox", name="Message")).to_be_visible()
        return visitor

    first = arrive("customer_1")
    first.ask("/say only for one")
    first.answered()
    second = arrive("customer_2")
    second.page.get_by_role("button", name="Conversations").click()
    expect(second.page.get_by_text("No conversations yet.")).to_be_visible()
    expect(second.page.locator(".th-answer")).to_have_count(0)
    stranger = arrive(None)
    stranger.ask("Hello?")
    expect(stranger.page.get_by_role("alert")).to_contain_text("Please sign in")
    assert sessions_of(hub, agent) == []  # each who came ended the session of the one before
    again = arrive("customer_1")
    again.ask("/say and more")
    again.answered()
    again.page.get_by_role("button", name="Conversations").click()
    expect(again.page.get_by_role("navigation").get_by_role("button")).to_have_count(2)
    assert sessions_of(hub, agent) == ["customer_1"]


def test_only_allowed_origins_may_frame_the_chat_page(context: BrowserContext, hub: Hub, site: Site) -> None:
    allowed = page_agent(hub, hub.url, site.url)["public_key"]
    closed = page_agent(hub, hub.url)["public_key"]
    frames = "".join(f'<iframe name="{key}" src="{hub.url}/chat/{key}"></iframe>' for key in (allowed, closed))
    (site.folder / "frames.html").write_text(f"<!doctype html><title>Frames</title>{frames}")
    visitor = Visitor.arrive(context, f"{site.url}/frames.html")
    inside = visitor.page.frame_locator(f'iframe[name="{allowed}"]')
    expect(inside.get_by_role("textbox", name="Message")).to_be_visible()
    framed = visitor.page.frame(name=closed)
    assert framed is not None
    assert framed.url.startswith("chrome-error:")
