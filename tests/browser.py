"""A real browser for tests: Debian's Chromium, driven by Playwright as a person would.

`browser` is one Chromium per module: Playwright's own event loop must not stand in the way of tests that use the
database. Nothing is skipped where it is missing.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, sync_playwright

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING = "These tests drive Chromium, which is not on the PATH: `apt-get install chromium`."


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium with a profile of its own."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.fail(MISSING, pytrace=False)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield started
        started.close()


def keep_pictures(directory: Path, item: pytest.Function) -> None:
    """Write a picture of each page that the test has open, named after the test."""
    running: Browser | None = item.funcargs.get("browser")
    pages = [page for context in running.contexts for page in context.pages] if running else []
    directory.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^\w.-]+", "_", item.nodeid)[-150:]
    for number, page in enumerate(pages, 1):
        with suppress(Error):  # a page that is gone has none, and what the test found is what counts
            page.screenshot(path=directory / f"{name}.{number}.png")
