"""Nothing that anybody writes does anything, on any page, in a real browser: no script, no request to elsewhere."""

import json
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser

from tests.browser import browser  # noqa: F401  a fixture
from tests.console.addresses import questions
from tests.console.hostile import GROUPS, PAYLOADS
from tests.console.staff import Staff
from tests.hub import ROOT, Hub, clean_environment

APART = 4  # pages, of those that a group of payloads is looked at on
# What somebody wrote became an attribute that acts, or an element that none of our pages has.
ALIVE = """() => {
    document.querySelectorAll("details").forEach((one) => { one.open = true; });
    const acts = (one) => one.getAttributeNames().some((name) => name.startsWith("on"));
    const strange = "iframe, object, embed, base, marquee, math, video, audio, [srcdoc], [href^='javascript' i]";
    const found = [...document.querySelectorAll("*")].filter((one) => acts(one) || one.matches(strange));
    return found.map((one) => one.outerHTML);
}"""


@pytest.fixture(scope="module")
def pages(hub: Hub) -> list[dict[str, str]]:
    """name: address, of the pages of forty workspaces with one payload each, and then of eight full of five."""
    command = [sys.executable, "manage.py", "shell", "-c", "from tests.console.hostile_site import build; build()"]
    environment = {**clean_environment(), "THREADHUB_DATA_DIR": str(hub.data_dir)}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    found: list[dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def staff(browser: Browser, hub: Hub) -> Iterator[Staff]:  # noqa: F811
    someone = Staff.sign_in(browser, hub)
    yield someone
    someone.leave()


def look(staff: Staff, address: str) -> None:
    answer = staff.page.goto(f"{staff.hub.url}{address}")
    assert answer is not None
    assert answer.status < 500, address
    assert staff.page.evaluate(ALIVE) == [], address
    assert (staff.faults, staff.outside) == ([], []), address


@pytest.mark.parametrize("at", range(len(GROUPS)))
def test_no_page_does_what_it_shows(
    at: int, staff: Staff, pages: list[dict[str, str]], request: pytest.FixtureRequest
) -> None:
    """Details, histories, questions and previews, each with a fourth of the payloads, `--thorough` with all of them (as
    test_hostile_text.py looks at it without a browser); lists and empty forms are below."""
    own = pages[len(PAYLOADS) + at]
    names = sorted(name for name in own if not name.endswith((" list", " add")))
    apart = 1 if request.config.getoption("--thorough") else APART
    for name in names[at % apart :: apart]:
        look(staff, own[name])


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_nor_does_any_payload_that_stands_alone(number: int, staff: Staff, pages: list[dict[str, str]]) -> None:
    """Beside others one may be shut up in what another opened. In a conversation, and on a detail, a history and a
    question of each noun in turn."""
    own, asking = pages[number], questions()
    kinds = [
        ["threads/thread page"],
        [name for name in own if name.endswith(" page")],
        [name for name in own if name.endswith(" history")],
        [name for name in own if name in asking],
    ]
    for names in kinds:
        look(staff, own[sorted(names)[number % len(names)]])


def test_no_list_does_what_it_shows(staff: Staff, pages: list[dict[str, str]]) -> None:
    """All forty-eight of each noun on one page, with the filters and forms that name workspaces, agents and tools."""
    for name, address in pages[0].items():
        if name.endswith((" list", " add")):
            look(staff, address)


def test_no_list_does_what_it_is_asked_for(staff: Staff) -> None:
    for payload in PAYLOADS:
        asked = quote(payload)
        look(staff, f"/admin/threads/thread/?q={asked}&external_ref={asked}&label={asked}&tool={asked}&user={asked}")


@pytest.mark.parametrize(
    ("name", "button"),
    [("threads/hold release", "Release hold"), ("threads/cannedanswer remove", "Remove"),
     ("threads/retentionpolicy remove", "Remove policy"), ("threads/thread delete", "Delete thread")],
)  # fmt: skip
def test_nor_does_a_message_of_what_was_done(name: str, button: str, staff: Staff, pages: list[dict[str, str]]) -> None:
    for each in pages[len(PAYLOADS) :]:
        look(staff, each[name])
        for field in staff.page.locator(".th-confirm input[type=text], .th-confirm textarea").all():
            field.fill(PAYLOADS[0])
        for field in staff.page.locator("input[name=typed]").all():
            field.fill(each[name].split("/")[4][-6:])  # the end of its id
        staff.page.get_by_role("button", name=button).click()
        staff.page.wait_for_load_state()
        assert staff.page.evaluate(ALIVE) == []
    assert (staff.faults, staff.outside) == ([], [])
