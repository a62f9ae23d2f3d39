"""An agent is tried in a real browser, as it stands in the form, before it is saved."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import browser  # noqa: F401  a fixture
from tests.hub import Hub

SECONDS = 60_000  # milliseconds, of a busy machine


@pytest.fixture
def form(browser: Browser, hub: Hub) -> Iterator[Page]:  # noqa: F811
    """The agent's form, as a superuser has it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(hub.admin_url)
    page.fill("[name=username]", hub.admin_username)
    page.fill("[name=password]", hub.admin_password)
    page.click("[type=submit]")
    page.goto(f"{hub.admin_url}agents/agent/{hub.agent_id}/change/")
    yield page
    context.close()
    assert faults == []


def ask(page: Page, question: str) -> None:
    page.fill("#th-trial-question", question)
    page.keyboard.press("Enter")


def test_it_answers_as_the_form_says_and_nothing_is_saved(form: Page, hub: Hub) -> None:
    before = hub.get(f"/agents/{hub.agent_id}").json()
    form.click(".th-trial-open")
    form.fill("#id_model", "tried")
    ask(form, "/context")
    expect(form.locator(".th-trial-assistant")).to_contain_text('"model": "tried"', timeout=SECONDS)
    ask(form, '/tool current_time {"zone": "Europe/Madrid"}')
    expect(form.get_by_text("Would call current_time")).to_be_visible(timeout=SECONDS)
    assert hub.get(f"/agents/{hub.agent_id}").json() == before


def test_a_fault_of_the_form_is_told_and_an_answer_can_be_stopped(form: Page) -> None:
    form.click(".th-trial-open")
    form.fill("#id_temperature", "9")
    ask(form, "Hello")
    expect(form.locator(".th-trial-fault")).to_contain_text("Temperature", timeout=SECONDS)
    form.fill("#id_temperature", "")
    ask(form, "/slow 0.2 /length 900")
    expect(form.locator(".th-trial-assistant")).to_contain_text("You said", timeout=SECONDS)
    form.click("[data-th-trial-stop]")
    expect(form.get_by_text("Stopped.")).to_be_visible(timeout=SECONDS)
    ask(form, "Hello again")
    expect(form.locator(".th-trial-assistant").last).to_have_text("You said: Hello again", timeout=SECONDS)
