"""How the console and the chat look in Chromium: in light and dark, wide and on a phone, whatever stands on a page."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import browser  # noqa: F401  a fixture
from tests.console.staff import Staff
from tests.hub import ROOT, Hub, clean_environment

BUILD = """
import json
from django.db import transaction
from tests.conftest import make_tenant
from tests.console.conftest import furnish
from tests.console.hostile_site import pages_of, spread, wait_for_a_person
with transaction.atomic():
    made, long = furnish(make_tenant("Look"), "Where is my **order**?"), spread(make_tenant("Long"), {long!r})
    wait_for_a_person(made)
    wait_for_a_person(long)
print(json.dumps([made.pages(), pages_of(long)]))
"""
LONG = "A word of Wales: " + "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch" * 2
LOOKED_AT = (
    "overview", "threads/thread list", "threads/thread page", "agents/agent page",
    "threads/erasure list", "threads/erasure add", "threads/erasure page",
    "threads/retentionpolicy list", "threads/retentionpolicy page", "threads/retentionpolicy preview",
    "threads/retentionsettings list", "threads/retentionsettings page", "threads/retentionsettings apply",
    "threads/retentionjob page", "threads/bundle page", "threads/hold add", "threads/export add",
)  # fmt: skip
PIECES = ("threads/thread window", "threads/thread find")  # of a page, which its script fetches
WIDTHS = (1280, 390)


@pytest.fixture(scope="module")
def sites(hub: Hub) -> list[dict[str, str]]:
    """name: address, of the pages of an ordinary workspace, and of one with a long word in each of its texts."""
    command = [sys.executable, "manage.py", "shell", "-c", BUILD.format(long=LONG)]
    environment = {**clean_environment(), "THREADHUB_DATA_DIR": str(hub.data_dir)}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    found: list[dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def signed_in(browser: Browser, hub: Hub) -> Iterator[Staff]:  # noqa: F811
    someone = Staff.sign_in(browser, hub)
    yield someone
    someone.leave()


@pytest.fixture
def staff(signed_in: Staff) -> Iterator[Staff]:
    """Whose browser complains of nothing."""
    signed_in.errors.clear()
    yield signed_in
    assert (signed_in.errors, signed_in.faults, signed_in.outside) == ([], [], [])


def test_nothing_sticks_out_of_any_page_on_a_phone(staff: Staff, sites: list[dict[str, str]]) -> None:
    staff.page.set_viewport_size({"width": 390, "height": 844})
    wide = []
    for name, address in sites[1].items():
        if name in PIECES:
            continue
        staff.page.goto(f"{staff.hub.url}{address}")
        if staff.sticks_out():
            wide.append(name)
    assert wide == []


@pytest.mark.parametrize("name", LOOKED_AT)
def test_axe_finds_nothing_serious(name: str, staff: Staff, sites: list[dict[str, str]]) -> None:
    page, found = staff.page, {}
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{staff.hub.url}{sites[0][name]}")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            found[f"{scheme} {width}"] = staff.serious()
    assert {how: each for how, each in found.items() if each} == {}
