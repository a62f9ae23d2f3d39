"""A member of staff at the console, in a real browser: what they do, what they see, and what their browser noticed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.clients import node
from tests.hub import Hub

SECONDS = 60_000  # ms; the machine may be busy
expect.set_options(timeout=SECONDS)


@dataclass
class Staff:
    """One tab. `faults`: what a policy stopped, what scripts threw, dialogs; `errors`: what the browser's console
    calls one; `outside`: requests to other places."""

    page: Page
    hub: Hub
    faults: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    @classmethod
    def sign_in(cls, browser: Browser, hub: Hub, *, who: tuple[str, str] | None = None, **context: Any) -> Staff:
        """Through the form, with a name and a password; as the demo administrator where none is given."""
        username, password = who or (hub.admin_username, hub.admin_password)
        made: BrowserContext = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **context})
        staff = cls(made.new_page(), hub)
        staff.page.set_default_timeout(SECONDS)
        staff._listen()
        staff.page.goto(f"{hub.url}/admin/")
        staff.page.get_by_label("Username").fill(username)
        staff.page.get_by_label("Password").fill(password)
        staff.page.get_by_role("button", name="Log in").click()
        expect(staff.page.get_by_role("heading", name="Overview")).to_be_visible()
        return staff

    def _listen(self) -> None:
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("console", self._heard)
        self.page.on("dialog", lambda dialog: (self.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self._asked(request.url))

    def _heard(self, said: ConsoleMessage) -> None:
        text = said.text
        if said.type == "error":
            self.errors.append(f"{self.page.url}: {text}")
        if any(words in text for words in ("Content Security Policy", "Refused to", "violates")):
            self.faults.append(text)

    def _asked(self, url: str) -> None:
        own = urlsplit(self.hub.url).netloc
        if not url.startswith(("data:", "blob:", "about:")) and urlsplit(url).netloc != own:
            self.outside.append(url)

    def open(self, noun: str) -> None:
        """The list of `app/model`, by the menu at the side; behind its button on a narrow screen."""
        entry = self.page.locator(f"#nav-sidebar-apps a[href$='/admin/{noun}/']").first
        if not entry.is_visible():
            self.page.locator("#header-inner [x-on\\:click*=sidebarMobileOpen]").click()
        entry.click()

    def page_with(self, wanted: Locator) -> Locator:
        """On through the pages of a list to the one that has it."""
        older = self.page.get_by_role("link", name="Older →", exact=True)
        while not wanted.is_visible() and older.is_visible():
            older.click()
            self.page.wait_for_load_state()
        return wanted

    def choose(self, title: str) -> None:
        """A deed of the page's header; behind a button on a narrow screen."""
        more = self.page.get_by_role("button", name="Actions")
        if more.is_visible():
            more.click()
        self.page.get_by_role("link", name=title).first.click()

    def threads(self, query: str = "") -> None:
        """The list of threads."""
        self.page.goto(f"{self.hub.url}/admin/threads/thread/{query}")

    def read(self, thread_id: str, query: str = "") -> None:
        """One thread's page."""
        self.page.goto(f"{self.hub.url}/admin/threads/thread/{thread_id}/change/{query}")
        expect(self.page.get_by_role("main", name="Transcript")).to_be_visible()

    def violations(self, within: str) -> list[tuple[str, Any]]:
        """What axe-core finds wrong within what a selector finds: rule by rule, what is at fault."""
        axe: Path = node.packages() / "node_modules" / "axe-core" / "axe.min.js"
        self.page.evaluate(axe.read_text())
        options = "{resultTypes: ['violations']}"
        found = self.page.evaluate(f"(within) => axe.run({{include: [[within]]}}, {options})", within)
        return [(one["id"], [each["html"] for each in one["nodes"]]) for one in found["violations"]]

    def serious(self) -> list[tuple[str, Any]]:
        """What axe-core finds wrong with the whole page that keeps somebody from using it."""
        axe: Path = node.packages() / "node_modules" / "axe-core" / "axe.min.js"
        self.page.evaluate(axe.read_text())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        grave = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
        return [(one["id"], [each["html"] for each in one["nodes"]]) for one in grave]

    def sticks_out(self) -> bool:
        """Whether the page is wider than the screen."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > innerWidth"))

    def leave(self) -> None:
        """Nothing was stopped, thrown or asked elsewhere."""
        self.page.context.close()
        assert self.faults == []
        assert self.outside == []


def new_thread(hub: Hub, title: str, *said: tuple[str, str], **fields: Any) -> str:
    """A thread with these messages: role and content."""
    made = hub.post(f"/agents/{hub.agent_id}/threads", json={"title": title, **fields}).raise_for_status().json()
    for role, content in said:
        hub.post(f"/threads/{made['id']}/messages", json={"role": role, "content": content}).raise_for_status()
    return str(made["id"])
