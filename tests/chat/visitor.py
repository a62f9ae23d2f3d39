"""A visitor at the chat page or the widget: what they do, what they see, and what their browser noticed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, expect

from tests.hub import Hub

SECONDS = 40_000  # ms; the machine may be busy
expect.set_options(timeout=SECONDS)


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def page_agent(hub: Hub, *origins: str, **fields: Any) -> dict[str, Any]:
    """A new agent with a public key that lets in pages of these origins; the hub's own where none is named."""
    tools = [tool["id"] for tool in hub.get("/tools").raise_for_status().json()["data"]]
    own = {"name": "Guide", "provider": "echo", "tools": tools, "allowed_origins": list(origins or [hub.url]), **fields}
    agent: dict[str, Any] = hub.post("/agents", json=own).raise_for_status().json()
    made: dict[str, Any] = hub.post(f"/agents/{agent['id']}/public_key", json={}).raise_for_status().json()
    return made


@dataclass
class Visitor:
    """One tab. `faults`: what a policy stopped and what scripts threw; `errors`: what the browser's console calls one;
    `requests`: all that it asked."""

    page: Page
    faults: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @classmethod
    def arrive(cls, context: BrowserContext, url: str) -> Visitor:
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        visitor = cls(page)
        page.on("pageerror", lambda error: visitor.faults.append(f"error: {error}"))
        page.on("console", visitor._heard)
        page.on("dialog", lambda dialog: (visitor.faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", visitor._asked)
        page.goto(url)
        return visitor

    def _heard(self, said: ConsoleMessage) -> None:
        text = said.text
        if said.type == "error":
            self.errors.append(text)
        if any(words in text for words in ("Content Security Policy", "Trusted", "Refused to")):
            self.faults.append(text)

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def ask(self, text: str) -> None:
        box = self.page.get_by_role("textbox", name="Message")
        box.fill(text)
        box.press("Enter")

    def last_answer(self) -> str:
        """The text of the newest answer, as it stands."""
        return self.page.locator(".th-answer").last.locator(".th-text").last.inner_text()

    def answered(self, count: int = 1) -> list[str]:
        """Waits until there are so many answers, the last of them complete; their texts."""
        answers = self.page.locator(".th-answer")
        expect(answers).to_have_count(count)
        expect(answers.last.get_by_role("button", name="Answer again")).to_be_visible()
        return [" ".join(answer.locator(".th-text").all_inner_texts()) for answer in answers.all()]

    def writes(self) -> None:
        """Waits until an answer is on its way and some of it is there."""
        expect(self.page.locator(".th-answer[aria-busy] .th-text").last).to_contain_text("word")

    def outside(self, *inside: str) -> list[str]:
        """Requests to other origins than these."""
        return [url for url in self.requests if origin_of(url) not in inside and not url.startswith(("blob:", "data:"))]
