"""What axe-core finds wrong with the chat: nothing, in every state, in light and in dark, wide and on a phone."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.chat.visitor import Visitor
from tests.clients import node

pytestmark = pytest.mark.xdist_group("hub")

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


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_nothing_is_at_fault(browser: Browser, chat_url: str, axe: str, scheme: Any, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    visitor = Visitor.arrive(context, chat_url)
    expect(visitor.page.get_by_role("textbox", name="Message")).to_be_visible()
    assert faults(visitor, axe) == []
    visitor.ask(EVERYTHING)
    visitor.answered()
    visitor.page.locator("summary").click()
    assert faults(visitor, axe) == []
    visitor.ask("/fail provider_refused 1")
    expect(visitor.page.get_by_role("alert")).to_be_visible()
    visitor.page.get_by_role("button", name="Conversations").click()
    expect(visitor.page.get_by_role("navigation")).to_be_visible()
    assert faults(visitor, axe) == []
    visitor.page.goto(chat_url + "0")
    expect(visitor.page.get_by_role("heading", name="No chat here")).to_be_visible()
    assert faults(visitor, axe) == []
    context.close()
