"""The chat in a real browser, on a running hub."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser import browser  # noqa: F401  a fixture
from tests.chat.visitor import Visitor, page_agent
from tests.hub import Hub


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:  # noqa: F811
    """A browser that knows nothing yet."""
    made = browser.new_context(viewport={"width": 1000, "height": 800})
    yield made
    made.close()


@pytest.fixture(scope="module")
def chat_url(hub: Hub) -> str:
    """The chat page of a new agent."""
    return f"{hub.url}/chat/{page_agent(hub)['public_key']}"


@pytest.fixture
def visitor(context: BrowserContext, hub: Hub, chat_url: str) -> Iterator[Visitor]:
    """A visitor of the chat page. In the end its policy had nothing to stop, and nothing was asked of others."""
    arrived = Visitor.arrive(context, chat_url)
    yield arrived
    assert arrived.faults == []
    assert arrived.outside(hub.url) == []
    assert context.cookies() == []
