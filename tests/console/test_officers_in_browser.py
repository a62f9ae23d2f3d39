"""People with a role in one workspace, at the console, in Chromium: a compliance officer who holds, deletes, erases and
exports, and somebody of support who reads and answers. Neither is a superuser."""

import re
from collections.abc import Iterator
from secrets import token_hex

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import browser  # noqa: F401  a fixture
from tests.conftest import PASSWORD
from tests.console.staff import Staff
from tests.console.test_retention_in_browser import conversation, nothing_sticks_out, shell
from tests.hub import Hub, new_workspace

OFFICE = "The office"
PEOPLE = """
from threadhub.lib import ids
from threadhub.workspaces import memberships
from threadhub.workspaces.models import User, Workspace
from threadhub.workspaces.permissions import Role
workspace = Workspace.objects.get(pk=ids.decode("workspace", {workspace!r}))
for name, role in (("olga", "support"), ("carla", "compliance")):
    user = User.objects.create_user(name, password={password!r}, is_staff=True)
    memberships.join(workspace=workspace, user=user, role=Role(role))
"""
# In the menu of neither; and what only the other has.
NOT_FOR_OFFICERS = ("workspaces/apikey", "workspaces/membership", "workspaces/user", "threads/systempolicy")
FOR_COMPLIANCE = ("threads/retentionpolicy", "threads/hold", "threads/export", "threads/erasure", "audit/auditevent")
FOR_SUPPORT = ("threads/cannedanswer",)
PHONE = {"width": 390, "height": 844}
REASONS = """
from threadhub.lib import ids
from threadhub.workspaces.models import Workspace
Workspace.objects.filter(pk=ids.decode("workspace", {workspace!r})).update(transcript_reason={wanted})
"""


@pytest.fixture(scope="module")
def office(hub: Hub) -> Iterator[Hub]:
    """A workspace with olga of support and carla of compliance."""
    made = new_workspace(hub, OFFICE)
    shell(hub, PEOPLE.format(workspace=made.workspace_id, password=PASSWORD))
    with made.client:
        yield made


@pytest.fixture
def carla(browser: Browser, office: Hub) -> Iterator[Staff]:  # noqa: F811
    someone = Staff.sign_in(browser, office, who=("carla", PASSWORD))
    yield someone
    someone.leave()


@pytest.fixture
def olga(browser: Browser, office: Hub) -> Iterator[Staff]:  # noqa: F811
    someone = Staff.sign_in(browser, office, who=("olga", PASSWORD))
    yield someone
    someone.leave()


@pytest.fixture
def asking(office: Hub, hub: Hub) -> Iterator[None]:
    """The office wants to know why somebody reads."""
    shell(hub, REASONS.format(workspace=office.workspace_id, wanted=True))
    yield
    shell(hub, REASONS.format(workspace=office.workspace_id, wanted=False))


def confirm(page: Page, button: str, *, typed: str | None = None) -> None:
    """The button of a question's page, after what has to be typed."""
    if typed is not None:
        page.locator("input[name=typed]").fill(typed)
    page.locator(".th-confirm").get_by_role("button", name=button).click()


def keep_trash(carla: Staff, days: int) -> None:
    carla.open("threads/retentionsettings")
    carla.page.get_by_role("link", name=OFFICE, exact=True).click()
    carla.page.get_by_label("Days in the trash").fill(str(days))
    carla.page.get_by_role("button", name="Save", exact=True).click()
    expect(carla.page.get_by_text("are saved")).to_be_visible()


def test_a_hold_keeps_a_thread_until_it_is_released_with_a_reason(carla: Staff, office: Hub) -> None:
    page = carla.page
    thread = conversation(office, "In dispute", f"dispute-{token_hex(3)}")
    keep_trash(carla, 0)
    carla.open("threads/hold")
    page.get_by_role("link", name="Add", exact=False).first.click()
    page.locator("#id_scope").select_option(label="One thread")
    page.get_by_label("Which").fill(thread)
    page.get_by_role("button", name="Place on hold").click()
    expect(page.get_by_text("This field is required.")).to_be_visible()  # of the reason
    page.get_by_label("Reason").fill("Case 12/2026")
    page.get_by_role("button", name="Place on hold").click()
    expect(page.get_by_text("The hold is in force")).to_be_visible()
    held = page.url

    carla.read(thread)
    carla.choose("Delete thread")
    expect(page.get_by_text("this is final")).to_be_visible()
    nothing_sticks_out(carla)
    confirm(page, "Delete thread", typed=thread[-6:])
    expect(page.get_by_text("on legal hold").first).to_be_visible()
    assert office.get(f"/threads/{thread}").status_code == 200

    page.goto(held)
    carla.choose("Release hold")
    page.get_by_label("Reason").fill("The case is closed")
    confirm(page, "Release hold")
    expect(page.get_by_text("The hold is released.")).to_be_visible()
    expect(page.get_by_text("The case is closed")).to_be_visible()
    nothing_sticks_out(carla)


def test_a_thread_goes_to_the_trash_and_comes_back(carla: Staff, office: Hub) -> None:
    page = carla.page
    title = f"A mistake {token_hex(3)}"
    thread = conversation(office, title, f"mistake-{token_hex(3)}")
    keep_trash(carla, 7)
    carla.read(thread)
    carla.choose("Delete thread")
    expect(page.get_by_text("staff can bring it back for 7 days")).to_be_visible()
    expect(page.locator("input[name=typed]")).to_have_count(0)
    confirm(page, "Delete thread")
    expect(page.get_by_text("Deleted the thread")).to_be_visible()
    assert office.get(f"/threads/{thread}").status_code == 404

    carla.threads("?state=trashed")
    page.get_by_role("link", name=title).click()
    carla.choose("Restore")
    confirm(page, "Restore")
    expect(page.get_by_text("The thread is back.")).to_be_visible()
    assert office.get(f"/threads/{thread}").json()["state"] == "active"


def test_where_there_is_no_trash_deleting_wants_the_end_of_the_id(carla: Staff, office: Hub) -> None:
    page = carla.page
    thread = conversation(office, "Nobody's", f"nobody-{token_hex(3)}")
    keep_trash(carla, 0)
    carla.read(thread)
    carla.choose("Delete thread")
    confirm(page, "Delete thread", typed="wrong")
    expect(page.get_by_text(f"Type exactly: {thread[-6:]}")).to_be_visible()
    assert office.get(f"/threads/{thread}").status_code == 200
    confirm(page, "Delete thread", typed=thread[-6:])
    expect(page.get_by_text("Deleted the thread")).to_be_visible()
    assert office.get(f"/threads/{thread}").status_code == 404


def test_a_person_is_erased_once_the_code_of_the_list_is_typed(carla: Staff, office: Hub) -> None:
    page = carla.page
    reference = f"person-{token_hex(3)}"
    threads = [conversation(office, "Of a person", reference) for _ in range(2)]
    carla.open("threads/erasure")
    page.get_by_role("link", name="Add", exact=False).first.click()
    page.locator("#id_value").fill(reference)
    page.get_by_role("button", name="List what would be erased").click()
    expect(page.get_by_text("Nothing was erased.")).to_be_visible()
    expect(page.locator(".th-report")).to_contain_text(re.compile(r"Threads\s*2"))
    carla.choose("Erase for ever")
    label = page.locator("label", has_text="Type ").inner_text()
    code = re.search(r"[A-Z2-7]{4}-[A-Z2-7]{4}", label)
    assert code is not None
    confirm(page, "Erase for ever", typed="AAAA-AAAA")
    expect(page.get_by_text(f"Type exactly: {code[0]}")).to_be_visible()
    assert {office.get(f"/threads/{thread}").status_code for thread in threads} == {200}
    confirm(page, "Erase for ever", typed=code[0])
    expect(page.locator(".th-badge-done").first).to_be_visible()
    expect(page.get_by_role("link", name="Download the certificate")).to_be_visible()
    nothing_sticks_out(carla)
    assert {office.get(f"/threads/{thread}").status_code for thread in threads} == {404}


def test_an_export_wants_the_workspaces_name_and_is_downloaded(carla: Staff, office: Hub) -> None:
    page = carla.page
    reference = f"export-{token_hex(3)}"
    conversation(office, "To take along", reference)
    carla.open("threads/export")
    page.get_by_role("link", name="Add", exact=False).first.click()
    page.locator("#id_scope").select_option(value="external_ref")
    page.get_by_label("Which").fill(reference)
    page.get_by_label("Type the name").fill("Another office")
    page.get_by_role("button", name="Make the export").click()
    expect(page.get_by_text(f"Type exactly: {OFFICE}")).to_be_visible()
    page.get_by_label("Type the name").fill(OFFICE)
    page.get_by_role("button", name="Make the export").click()
    expect(page.locator(".th-badge-done")).to_be_visible()
    nothing_sticks_out(carla)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download", exact=True).click()
    assert download.value.path().read_bytes().startswith(b"PK")


def test_support_assigns_labels_and_answers_and_is_offered_nothing_else(olga: Staff, office: Hub) -> None:
    page = olga.page
    thread = conversation(office, "Wants help", f"help-{token_hex(3)}")
    olga.read(thread)
    for title in ("Archive", "Delete thread"):
        expect(page.get_by_role("link", name=title)).to_have_count(0)
    page.get_by_label("Assigned to").select_option(label="Me (olga)")
    expect(page.get_by_label("Assigned to")).to_have_value(re.compile("user_"))
    page.get_by_label("Labels").fill("urgent")
    page.locator(".th-desk").get_by_role("button", name="Save").click()
    page.get_by_label("A note for colleagues").fill("Call them back.")
    page.get_by_role("button", name="Add note").click()
    expect(page.locator(".th-note-text")).to_have_text("Call them back.")
    page.get_by_role("button", name="Take over", exact=True).click()
    page.get_by_role("textbox", name="Your answer").fill("This is Olga.")
    page.get_by_role("button", name="Send answer").click()
    expect(page.locator(".th-person", has_text="This is Olga.")).to_be_visible()
    nothing_sticks_out(olga)
    olga.threads("?assigned=me&label=urgent")
    expect(page.get_by_role("link", name="Wants help").first).to_be_visible()
    for noun in ("retentionpolicy", "hold", "export", "erasure"):
        expect(page.locator(f"#nav-sidebar-apps a[href$='/threads/{noun}/']")).to_have_count(0)


def test_where_a_reason_is_wanted_it_is_given_before_anything_is_read(olga: Staff, office: Hub, asking: None) -> None:
    page = olga.page
    thread = conversation(office, "Private", f"private-{token_hex(3)}")
    page.goto(f"{office.url}/admin/threads/thread/{thread}/change/")
    expect(page.get_by_text("asks for a reason before a conversation is read")).to_be_visible()
    assert "Where is my zither?" not in page.content()
    page.get_by_label("Why do you read").fill("no")
    confirm(page, "Read the conversation")
    expect(page.get_by_role("main", name="Transcript")).to_have_count(0)
    page.get_by_label("Why do you read").fill("The customer called about it")
    confirm(page, "Read the conversation")
    expect(page.get_by_role("main", name="Transcript")).to_contain_text("Where is my zither?")
    nothing_sticks_out(olga)


def find_and_read(someone: Staff, title: str) -> None:
    """By the list's search box, and with the reason that is wanted."""
    page = someone.page
    someone.open("threads/thread")
    page.get_by_placeholder("Words of titles").fill(title)
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name=title)).to_be_visible()
    nothing_sticks_out(someone)
    page.get_by_role("link", name=title).click()
    page.get_by_label("Why do you read").fill("Case 12/2026")
    nothing_sticks_out(someone)
    confirm(page, "Read the conversation")
    expect(page.get_by_role("main", name="Transcript")).to_contain_text("Where is my zither?")
    nothing_sticks_out(someone)


def offers_nothing(someone: Staff, *nouns: str) -> None:
    for noun in nouns:
        expect(someone.page.locator(f"#nav-sidebar-apps a[href$='/admin/{noun}/']")).to_have_count(0)


def test_a_compliance_officer_works_on_a_phone(browser: Browser, office: Hub, asking: None) -> None:  # noqa: F811
    carla = Staff.sign_in(browser, office, who=("carla", PASSWORD), viewport=PHONE)
    page, title = carla.page, f"Dispute {token_hex(3)}"
    thread = conversation(office, title, f"dispute-{token_hex(3)}")
    offers_nothing(carla, *NOT_FOR_OFFICERS, *FOR_SUPPORT)
    find_and_read(carla, title)
    expect(page.get_by_role("button", name="Take over", exact=True)).to_have_count(0)
    expect(page.get_by_label("A note for colleagues")).to_have_count(0)

    carla.open("threads/hold")
    page.get_by_role("link", name="Add", exact=False).first.click()
    page.locator("#id_scope").select_option(label="One thread")
    page.get_by_label("Which").fill(thread)
    page.get_by_label("Reason").fill("Case 12/2026")
    nothing_sticks_out(carla)
    page.get_by_role("button", name="Place on hold").click()
    expect(page.get_by_text("The hold is in force")).to_be_visible()
    nothing_sticks_out(carla)
    carla.choose("Release hold")
    page.get_by_label("Reason").fill("The case is closed")
    confirm(page, "Release hold")
    expect(page.get_by_text("The hold is released.")).to_be_visible()

    carla.open("threads/export")
    page.get_by_role("link", name="Add", exact=False).first.click()
    page.locator("#id_scope").select_option(label="One thread")
    page.get_by_label("Which").fill(thread)
    page.get_by_label("Type the name").fill(OFFICE)
    page.get_by_role("button", name="Make the export").click()
    expect(page.get_by_text("wants to know why")).to_be_visible()
    page.get_by_label("Why").fill("Case 12/2026")
    nothing_sticks_out(carla)
    page.get_by_role("button", name="Make the export").click()
    expect(page.locator(".th-badge-done")).to_be_visible()
    nothing_sticks_out(carla)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download", exact=True).click()
    assert download.value.path().read_bytes().startswith(b"PK")
    carla.leave()


def test_somebody_of_support_answers_on_a_phone(browser: Browser, office: Hub, asking: None) -> None:  # noqa: F811
    olga = Staff.sign_in(browser, office, who=("olga", PASSWORD), viewport=PHONE, color_scheme="dark")
    page, title = olga.page, f"Help {token_hex(3)}"
    conversation(office, title, f"help-{token_hex(3)}")
    offers_nothing(olga, *NOT_FOR_OFFICERS, *FOR_COMPLIANCE)
    find_and_read(olga, title)
    for deed in ("Archive", "Delete thread"):
        expect(page.get_by_role("link", name=deed)).to_have_count(0)
    page.get_by_role("button", name="Take over", exact=True).click()
    page.get_by_role("textbox", name="Your answer").fill("This is Olga.")
    page.get_by_role("button", name="Send answer").click()
    expect(page.locator(".th-person", has_text="This is Olga.")).to_be_visible()
    nothing_sticks_out(olga)
    page.get_by_role("button", name="Hand back").click()
    expect(page.get_by_role("button", name="Take over", exact=True)).to_be_visible()
    olga.leave()


def test_days_of_filters_are_those_of_the_times_beside_them(browser: Browser, office: Hub) -> None:  # noqa: F811
    far = Staff.sign_in(browser, office, who=("carla", PASSWORD), timezone_id="Pacific/Kiritimati")  # UTC+14
    title = f"Far away {token_hex(3)}"
    conversation(office, title, f"far-{token_hex(3)}")
    today = far.page.evaluate("new Date().toLocaleDateString('sv')")
    tomorrow = far.page.evaluate("new Date(Date.now() + 864e5).toLocaleDateString('sv')")
    far.threads(f"?created_from={today}&created_to={today}")
    expect(far.page.get_by_role("link", name=title)).to_be_visible()
    far.threads(f"?created_from={tomorrow}")
    expect(far.page.get_by_role("link", name=title)).to_have_count(0)
    far.leave()
