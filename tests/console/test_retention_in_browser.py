"""Retention as a person of the staff works with it, in Chromium: a policy from its terms to its report, and the way
back out of a bundle."""

import subprocess
import sys
from collections.abc import Iterator
from secrets import token_hex

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import browser  # noqa: F401  a fixture
from tests.console.staff import Staff
from tests.hub import ROOT, Hub, clean_environment

AGE = """
from datetime import timedelta
from django.db.models import F
from threads.models import Thread
ago = timedelta(days=100)
Thread.objects.filter(external_ref__startswith={prefix!r}).update(
    created_at=F("created_at") - ago, last_activity_at=F("last_activity_at") - ago)
"""
SIZES = [("light", 1280), ("dark", 390)]


@pytest.fixture(params=SIZES, ids=["wide and light", "narrow and dark"])
def staff(request: pytest.FixtureRequest, browser: Browser, hub: Hub) -> Iterator[Staff]:  # noqa: F811
    scheme, width = request.param
    someone = Staff.sign_in(browser, hub, viewport={"width": width, "height": 900}, color_scheme=scheme)
    yield someone
    someone.leave()


def conversation(hub: Hub, title: str, reference: str) -> str:
    made = hub.post(f"/agents/{hub.agent_id}/threads", json={"title": title, "external_ref": reference}).json()
    for role, content in (("user", "Where is my zither?"), ("assistant", f"It is **under way**: {title}.")):
        message = {"role": role, "content": content}
        hub.post(f"/threads/{made['id']}/messages", json=message).raise_for_status()
    return str(made["id"])


def shell(hub: Hub, code: str) -> None:
    command = [sys.executable, "manage.py", "shell", "-c", code]
    environment = {**clean_environment(), "THREADHUB_DATA_DIR": str(hub.data_dir)}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)


def nothing_sticks_out(staff: Staff) -> None:
    assert staff.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), staff.page.url


def test_a_policy_is_previewed_enabled_and_applied(staff: Staff, other_workspace: Hub) -> None:
    hub, page = other_workspace, staff.page
    prefix = f"walk-{token_hex(4)}-"
    titles = [f"Zither {number} of {prefix}" for number in range(3)]
    for number, title in enumerate(titles):
        conversation(hub, title, f"{prefix}{number}")
    shell(hub, AGE.format(prefix=prefix))
    conversation(hub, "Zither of today", f"{prefix}new")

    staff.open("threads/retentionsettings")
    staff.page_with(page.get_by_role("link", name="Other", exact=True)).click()
    page.get_by_label("Grace of new policies").fill("0")
    page.get_by_role("button", name="Save", exact=True).click()

    staff.open("threads/retentionpolicy")
    page.get_by_role("link", name="Add", exact=False).first.click()
    page.get_by_label("Workspace", exact=False).first.select_option(label="Other")
    page.get_by_label("What happens").select_option(label="Archive")
    page.get_by_label("Days").fill("90")
    page.get_by_label("External ref prefix").fill(prefix)
    page.get_by_role("button", name="Save", exact=True).click()

    expect(page.locator(".th-sentence")).to_contain_text("are archived 90 days after their last message")
    expect(page.locator(".th-card", has_text="threads")).to_contain_text("3")
    expect(page.locator(".th-card", has_text="messages")).to_contain_text("6")
    expect(page.get_by_role("row", name="Archived")).to_contain_text("3")
    for title in titles:
        expect(page.get_by_role("link", name=title)).to_be_visible()
    nothing_sticks_out(staff)
    staff.choose("Enable")
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_text("The policy is in force.")).to_be_visible()

    staff.open("threads/retentionsettings")
    staff.page_with(page.get_by_role("row", name="Other").get_by_role("link", name="Plan and apply")).click()
    expect(page.get_by_text("Do this to 3 of")).to_be_visible()
    nothing_sticks_out(staff)
    if page.locator("input[name=typed]").count():  # so few threads that the brake would stop it
        page.locator("input[name=typed]").fill("3")
    page.get_by_role("button", name="Apply now").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.locator(".th-badge-done")).to_be_visible()
    expect(page.locator("[data-th-done-count]")).to_have_text("3")
    expect(page.locator(".th-report")).to_contain_text("3")
    nothing_sticks_out(staff)

    staff.threads(f"?q={prefix}0")
    expect(page.locator(".th-badge-archived")).to_be_visible()


def test_a_bundle_is_verified_and_restored(staff: Staff, other_workspace: Hub) -> None:
    hub, page = other_workspace, staff.page
    thread = conversation(hub, "Zither in a bundle", "bundled")
    staff.read(thread)
    staff.choose("Archive")
    page.get_by_role("button", name="Archive").click()
    expect(page.locator(".th-agent strong")).to_have_text("under way")  # it reads as before

    staff.open("threads/bundle")
    page.get_by_placeholder("Id or name of a bundle").fill(thread)
    page.keyboard.press("Enter")
    page.locator(".field-place a").first.click()
    expect(page.get_by_role("link", name="Zither in a bundle")).to_be_visible()
    staff.choose("Verify")
    page.get_by_role("button", name="Verify").click()
    expect(page.locator(".th-badge-done")).to_be_visible()
    nothing_sticks_out(staff)

    page.go_back()
    page.go_back()
    staff.choose("Restore threads")
    page.get_by_role("button", name="Restore threads").click()
    expect(page.locator(".th-badge-done")).to_be_visible()
    expect(page.locator("[data-th-done-count]")).to_have_text("1")

    staff.read(thread)
    expect(page.locator(".th-facts .th-badge-active")).to_have_count(1)  # folded on a narrow screen
    expect(page.locator(".th-agent strong")).to_have_text("under way")
    assert hub.get(f"/threads/{thread}").json()["state"] == "active"
