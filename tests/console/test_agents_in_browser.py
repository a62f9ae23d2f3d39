"""A member of staff who has one workspace only looks after an agent, in Chromium: tries it, changes it, sees what was
changed by whom, and goes back; and tries a new one before it is made."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import browser  # noqa: F401  a fixture
from tests.clients import node
from tests.console.staff import Staff
from tests.hub import ROOT, Hub, clean_environment

NAME, PASSWORD = "alex", "correct horse battery staple"
MAKE_STAFF = """
from threadhub.lib import ids
from threadhub.workspaces import memberships
from threadhub.workspaces.models import User, Workspace
from threadhub.workspaces.permissions import Role
user = User.objects.create_user({name!r}, password={password!r}, first_name="Alex", last_name="Adams", is_staff=True)
memberships.join(
    workspace=Workspace.objects.get(pk=ids.decode("workspace", {workspace_id!r})), user=user, role=Role.ADMIN
)
"""


@pytest.fixture(scope="module")
def alexs_hub(hub: Hub) -> Iterator[Hub]:
    """The hub as Alex knows it, who is staff and an admin of one workspace."""
    code = MAKE_STAFF.format(name=NAME, password=PASSWORD, workspace_id=hub.workspace_id)
    command = [sys.executable, "manage.py", "shell", "-c", code]
    environment = {**clean_environment(), "THREADHUB_DATA_DIR": str(hub.data_dir)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    alexs = replace(hub, admin_username=NAME, admin_password=PASSWORD)
    with alexs.client:
        yield alexs


@pytest.fixture
def alex(browser: Browser, alexs_hub: Hub) -> Iterator[Staff]:  # noqa: F811
    someone = Staff.sign_in(browser, alexs_hub, timezone_id="Asia/Kathmandu")
    yield someone
    someone.leave()


def new_agent(hub: Hub, **fields: Any) -> str:
    made = hub.post("/agents", json={"name": "Looked after", "provider": "echo", **fields}).raise_for_status()
    return str(made.json()["id"])


def form_of(staff: Staff, agent_id: str) -> Page:
    staff.page.goto(f"{staff.hub.url}/admin/agents/agent/{agent_id}/change/")
    return staff.page


def ask(page: Page, question: str) -> None:
    page.get_by_label("Question", exact=True).fill(question)
    page.keyboard.press("Enter")


def faults(page: Page, within: str) -> list[tuple[str, Any]]:
    """What axe-core finds wrong with a part of the page."""
    axe: Path = node.packages() / "node_modules" / "axe-core" / "axe.min.js"
    page.evaluate(axe.read_text())
    found = page.evaluate("(within) => axe.run({include: [[within]]}, {resultTypes: ['violations']})", within)
    return [(one["id"], [each["html"] for each in one["nodes"]]) for one in found["violations"]]


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_an_agent_is_tried_changed_and_brought_back(alex: Staff) -> None:
    hub, agent_id = alex.hub, new_agent(alex.hub, instructions="Be kind.")
    page = form_of(alex, agent_id)
    page.locator("#id_instructions").fill("Be brief.")
    page.locator("#id_model").fill("tried")
    page.get_by_role("button", name="Try it").click()
    ask(page, "/context")
    expect(page.locator(".th-trial-assistant")).to_contain_text('"model": "tried"')
    assert hub.get(f"/agents/{agent_id}").json()["instructions"] == "Be kind."
    page.get_by_role("button", name="Close").click()

    page.locator("#id_day_tokens").fill("100000")
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_text("of 100,000 tokens used")).to_be_visible()
    assert hub.get(f"/agents/{agent_id}").json()["instructions"] == "Be brief."
    assert hub.get(f"/agents/{agent_id}/budget").json()["day"]["tokens"] == 100_000

    alex.choose("History")
    expect(page.get_by_text("No new version")).to_have_count(1)
    newest = page.locator(".th-version", has_text="Version 2")
    expect(newest).to_contain_text("Alex Adams")
    expect(newest.locator("ins")).to_contain_text(["+ tried", "+ Be brief."])
    expect(page.locator("ins", has_text="+ 100,000 tokens a day")).to_be_visible()
    page.get_by_role("link", name="Go back to it (version 1)").click()
    expect(page.get_by_text("This would change, and nothing else:")).to_be_visible()
    expect(page.get_by_text("Changed since that version, and staying so: Budget.")).to_be_visible()
    page.get_by_role("button", name="Go back to version 1").click()
    expect(page.get_by_text("answers as in version 1 again")).to_be_visible()
    expect(page.locator(".th-version", has_text="Version 3")).to_contain_text("back to version 1")
    now = hub.get(f"/agents/{agent_id}").json()
    assert (now["instructions"], now["model"]) == ("Be kind.", "")
    assert hub.get(f"/agents/{agent_id}/budget").json()["day"]["tokens"] == 100_000


def test_times_are_those_of_the_readers_zone(alex: Staff) -> None:
    agent_id = new_agent(alex.hub)
    for _ in range(2):
        alex.hub.post(f"/agents/{agent_id}/identity_secret").raise_for_status()
    page = form_of(alex, agent_id)
    until = page.get_by_text("the one before is taken until").locator("time")
    expect(until).to_have_attribute("data-th-done", "")
    utc, spelled = until.get_attribute("title") or "", until.text_content() or ""
    assert utc.endswith(" UTC")
    hours, minutes = divmod((int(utc[11:13]) * 60 + int(utc[14:16]) + 345) % 1440, 60)  # Nepal is 5:45 ahead
    assert f"{hours % 12 or 12}:{minutes:02}" in spelled


def test_a_new_agent_is_tried_before_there_is_one(alex: Staff) -> None:
    page, before = alex.page, alex.hub.get("/agents").json()
    page.goto(f"{alex.hub.url}/admin/agents/agent/add/")
    page.get_by_role("button", name="Try it").click()
    ask(page, "Hello")
    expect(page.locator(".th-trial-fault")).to_have_text("Name: This field is required.")
    page.locator("#id_name").fill("Not yet")
    page.locator("#id_model").fill("tried")
    ask(page, "/context")
    expect(page.locator(".th-trial-assistant").last).to_contain_text('"model": "tried"')
    ask(page, "/slow 0.2 /length 900")
    expect(page.locator(".th-trial-assistant").last).to_contain_text("You said")
    page.get_by_role("button", name="Stop").click()  # it was still coming
    expect(page.get_by_text("Stopped.")).to_be_visible()
    ask(page, "Are you there?")
    expect(page.locator(".th-trial-assistant").last).to_have_text("You said: Are you there?")
    assert alex.hub.get("/agents").json() == before
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The agent “Not yet” is made.")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_wrong_with_its_pages(
    browser: Browser,  # noqa: F811
    alexs_hub: Hub,
    scheme: Any,
    width: int,
) -> None:
    someone = Staff.sign_in(browser, alexs_hub, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page, agent_id = someone.page, new_agent(alexs_hub, instructions="Be kind.")
    alexs_hub.patch(f"/agents/{agent_id}", json={"instructions": "Be brief.", "allowed_roles": ["member"]})
    alexs_hub.client.put(
        f"/agents/{agent_id}/budget",
        json={"day": {"tokens": 1000}},
        headers={"authorization": f"Bearer {alexs_hub.api_key}"},
    ).raise_for_status()
    form_of(someone, agent_id)
    assert faults(page, "#content-main") == []
    assert fits(page), "nothing sticks out"
    page.get_by_role("button", name="Try it").click()
    ask(page, '/tool current_time {"zone": "Europe/Madrid"}')
    expect(page.get_by_text("Would call current_time")).to_be_visible()
    page.locator("#id_temperature").fill("9")
    ask(page, "Hello")
    expect(page.locator(".th-trial-fault")).to_contain_text("Temperature")
    assert faults(page, ".th-trial") == []
    for address, within in (
        (f"agents/agent/{agent_id}/history/", ".th-history"),
        (f"agents/agent/{agent_id}/history/1/", ".th-history"),
        ("agents/agent/add/", "#content-main"),
        (f"workspaces/workspace/{alexs_hub.workspace_id}/do/budget/", ".th-confirm"),
    ):
        page.goto(f"{alexs_hub.url}/admin/{address}")
        expect(page.locator(within)).to_be_visible()
        assert faults(page, within) == [], address
        assert fits(page), address
    someone.leave()
