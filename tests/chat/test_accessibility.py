"""What axe-core finds wrong with the chat and the widget: nothing, in every state, in light and in dark, wide and on a
phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.browser import browser  # noqa: F401  a fixture
from tests.chat.test_widget import Site, site  # noqa: F401  a fixture
from tests.chat.visitor import Visitor, page_agent
from tests.clients import node
from tests.hub import Hub

EVERYTHING = """/say # Title
/say Text with a [link](https://example.org) and `code`.
/say
/say | a | b |
/say |---|---|
/say | 1 | 2 |
/say
/say > quoted
/say
/say ```python
/say print(1)
/say ```
/tool current_time {"zone": "Europe/Madrid"}
/say done"""
PLAIN = """<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>Shop</title><link rel=icon href="data:,"><main><h1>Shop</h1></main>
<script src="{url}/chat/widget.js" data-agent="{key}" defer></script>"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The checker's script."""
    path: Path = node.packages() / "node_modules" / "axe-core" / "axe.min.js"
    return path.read_text()


def faults(visitor: Visitor, axe: str) -> list[tuple[str, Any]]:
    """Rule by rule, what is at fault."""
    visitor.page.evaluate(axe)
    found: dict[str, Any] = visitor.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]


LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (1280, 390)]


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]} {look[1]}")
def context(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:  # noqa: F811
    """A browser of either scheme, wide or a phone."""
    scheme, width = request.param
    made = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    yield made
    made.close()


def well(visitor: Visitor, axe: str) -> None:
    """Nothing is at fault, nothing sticks out, nothing was complained of."""
    assert faults(visitor, axe) == []
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert (visitor.faults, visitor.errors) == ([], [])


def test_nothing_is_at_fault(context: BrowserContext, hub: Hub, chat_url: str, axe: str) -> None:
    visitor = Visitor.arrive(context, chat_url)
    expect(visitor.page.get_by_role("textbox", name="Message")).to_be_visible()
    well(visitor, axe)
    visitor.ask(EVERYTHING)
    visitor.answered()
    visitor.page.locator("summary").click()
    visitor.ask(f"/say {'Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch' * 3}")
    visitor.answered(2)
    well(visitor, axe)
    visitor.ask("/fail provider_refused 1")
    expect(visitor.page.get_by_role("alert")).to_be_visible()
    visitor.page.get_by_role("button", name="Conversations").click()
    expect(visitor.page.get_by_role("navigation")).to_be_visible()
    well(visitor, axe)
    assert visitor.outside(hub.url) == []
    visitor.page.goto(chat_url + "0")
    expect(visitor.page.get_by_role("heading", name="No chat here")).to_be_visible()
    assert faults(visitor, axe) == []


def test_nothing_is_at_fault_with_the_widget(context: BrowserContext, hub: Hub, site: Site, axe: str) -> None:  # noqa: F811
    """Closed and open, on a page that has no styles of its own."""
    (site.folder / "plain.html").write_text(PLAIN.format(url=hub.url, key=page_agent(hub, site.url)["public_key"]))
    visitor = Visitor.arrive(context, f"{site.url}/plain.html")
    expect(visitor.page.get_by_role("button", name="Open chat")).to_be_visible()
    well(visitor, axe)
    visitor.page.get_by_role("button", name="Open chat").click()
    visitor.ask(EVERYTHING)
    visitor.answered()
    visitor.page.locator("summary").click()
    well(visitor, axe)
    assert visitor.outside(hub.url, site.url) == []
