"""What each role sees and does at the console: every list, form and deed there is. Whoever adds one adds it here, or
this fails."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant, make_user
from tests.console.addresses import models
from tests.console.conftest import Everything, signed_in
from tests.console.retention import apply_page
from threadhub.workspaces import invitations
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role

ROLES = [role.value for role in Role]
EVERYBODY = frozenset(ROLES)
ADMINS = frozenset(("owner", "admin"))
SUPPORT = ADMINS | {"support"}
COMPLIANCE = ADMINS | {"compliance"}
READERS = SUPPORT | COMPLIANCE
OFFICERS = frozenset(("owner", "compliance"))  # what is not an admin's
NOBODY: frozenset[str] = frozenset()  # superusers alone

LISTS = {
    "workspaces/workspace": EVERYBODY,
    "agents/agent": EVERYBODY,
    "agents/tool": EVERYBODY,
    "threads/thread": READERS,
    "threads/run": READERS,
    "threads/toolapproval": READERS,
    "chat_sessions/chatsession": READERS,
    "threads/cannedanswer": SUPPORT,
    "workspaces/membership": ADMINS,
    "workspaces/invitation": ADMINS,
    "workspaces/apikey": ADMINS,
    "threads/retentionpolicy": COMPLIANCE,
    "threads/retentionsettings": COMPLIANCE,
    "threads/retentionjob": COMPLIANCE,
    "threads/sweep": COMPLIANCE,
    "threads/bundle": COMPLIANCE,
    "threads/tombstone": COMPLIANCE,
    "threads/hold": COMPLIANCE,
    "threads/export": COMPLIANCE,
    "threads/erasure": OFFICERS,
    "audit/auditevent": OFFICERS,
    "audit/accessalert": OFFICERS,
    "threads/systempolicy": NOBODY,
    "workspaces/user": NOBODY,
    "procrastinate/procrastinatejob": NOBODY,
}
NEW = {
    "agents/agent": ADMINS,
    "agents/tool": ADMINS,
    "workspaces/apikey": ADMINS,
    "workspaces/invitation": ADMINS,
    "workspaces/membership": NOBODY,
    "workspaces/workspace": NOBODY,
    "workspaces/user": NOBODY,
    "threads/cannedanswer": SUPPORT,
    "threads/retentionpolicy": COMPLIANCE,
    "threads/hold": COMPLIANCE,
    "threads/export": COMPLIANCE,
    "threads/erasure": OFFICERS,
    "threads/systempolicy": NOBODY,
}
CHANGED = {
    "agents/agent": ADMINS,
    "agents/tool": ADMINS,
    "workspaces/workspace": ADMINS,
    "workspaces/membership": ADMINS,
    "workspaces/user": NOBODY,
    "threads/cannedanswer": SUPPORT,
    "threads/retentionpolicy": COMPLIANCE,
    "threads/retentionsettings": COMPLIANCE,
    "threads/systempolicy": NOBODY,
}
DEEDS = {
    "threads/thread": COMPLIANCE,  # archive, delete and back
    "threads/run": ADMINS,
    "threads/toolapproval": ADMINS,
    "chat_sessions/chatsession": ADMINS,
    "threads/cannedanswer": SUPPORT,
    "agents/agent": ADMINS,
    "agents/tool": ADMINS,
    "workspaces/workspace": ADMINS,  # its budget
    "workspaces/membership": ADMINS,
    "workspaces/invitation": ADMINS,
    "workspaces/apikey": ADMINS,
    "threads/retentionpolicy": COMPLIANCE,
    "threads/retentionjob": COMPLIANCE,
    "threads/bundle": COMPLIANCE,
    "threads/hold": COMPLIANCE,
    "threads/erasure": OFFICERS,
    "threads/systempolicy": NOBODY,
}
DESK = {
    "take_over": {},
    "answer": {"text": "Hello."},
    "assign": {"assignee": ""},
    "label": {"labels": "a"},
    "note": {"text": "n"},
    "hand_back": {},
}


@pytest.fixture(params=ROLES)
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(role: str, tenant: Tenant) -> Client:
    person = make_user("robin", tenant.workspace, Role(role))
    User.objects.filter(pk=person.pk).update(is_staff=True)
    person.refresh_from_db()
    return signed_in(person)


@pytest.fixture
def things(everything: Everything) -> dict[str, Any]:
    actor, now = everything.tenant.actor, timezone.now()
    invited, _ = invitations.create(actor=actor, invitee="somebody", role=Role.VIEWER, now=now)
    return {**everything.things(), "workspaces/invitation": invited.wire_id}


def opens(client: Client, address: str) -> bool:
    """Whether it is shown; refused, and not there, are the other answers."""
    status = client.get(address).status_code
    assert status in (200, 403, 404), (address, status)
    return status == 200


def test_every_list_is_for_the_roles_that_read_it(role: str, client: Client, everything: Everything) -> None:
    assert models().keys() == LISTS.keys()
    shown = {noun for noun in LISTS if opens(client, f"/admin/{noun}/")}
    assert shown == {noun for noun, roles in LISTS.items() if role in roles}


def test_every_form_is_for_the_roles_that_write(role: str, client: Client, things: dict[str, Any]) -> None:
    may_add = {noun for noun, admin in models().items() if admin.may_be_added} | {"workspaces/workspace"}
    assert may_add == NEW.keys()
    shown = {noun for noun in NEW if opens(client, f"/admin/{noun}/add/")}
    assert shown == {noun for noun, roles in NEW.items() if role in roles}
    assert {noun for noun, admin in models().items() if admin.may_be_changed} == CHANGED.keys()
    saved = set()
    for noun in CHANGED:
        page = client.get(f"/admin/{noun}/{things[noun]}/change/")
        saved |= {noun} if b'name="_save"' in page.content else set()
    assert saved == {noun for noun, roles in CHANGED.items() if role in roles}


def test_every_deed_is_for_the_roles_that_may(role: str, client: Client, things: dict[str, Any]) -> None:
    there = {noun: admin.deeds for noun, admin in models().items() if admin.deeds}
    assert there.keys() == DEEDS.keys()
    wrong = []
    for noun, deeds in there.items():
        for deed in deeds:
            address = f"/admin/{noun}/{things[noun]}/do/{deed.name}/"
            may = role in DEEDS[noun]
            wrong += [(noun, deed.name)] if opens(client, address) != may else []
            if not may:
                assert client.post(address, {"typed": "x"}).status_code in (403, 404), address
    assert wrong == []


def test_the_desk_is_for_the_roles_that_answer(role: str, client: Client, everything: Everything) -> None:
    page = f"/admin/threads/thread/{everything.thread.wire_id}/desk"
    codes = {
        deed: client.post(f"{page}/{deed}/", data, headers={"accept": "application/json"}).status_code
        for deed, data in DESK.items()
    }
    if role in SUPPORT:
        assert set(codes.values()) == {200}, codes
    else:
        assert set(codes.values()) <= {403, 404}, codes


def test_policies_are_applied_by_those_who_write_them(role: str, client: Client, tenant: Tenant) -> None:
    assert opens(client, apply_page(tenant)) == (role in COMPLIANCE)


def test_what_one_may_not_do_is_not_offered(role: str, client: Client, everything: Everything) -> None:
    if role not in READERS:
        return
    page = client.get(f"/admin/threads/thread/{everything.thread.wire_id}/change/").content.decode()
    assert ("/do/archive/" in page) == (role in COMPLIANCE)
    assert ("/desk/take_over/" in page) == (role in SUPPORT)
    assert ("/desk/note/" in page) == (role in SUPPORT)
    menu = client.get("/admin/").content.decode()
    for noun, roles in LISTS.items():
        if roles in (COMPLIANCE, OFFICERS, SUPPORT, ADMINS) and f'href="/admin/{noun}/"' in menu:
            assert role in roles, noun


def test_the_front_page_tells_what_the_role_reads(role: str, client: Client) -> None:
    html = client.get("/admin/").content.decode()
    shown = {name for name in ("Messages", "Cost", "Due for retention", "Storage by state") if f">{name}<" in html}
    readers = {
        "Messages": READERS,
        "Cost": ADMINS,
        "Due for retention": COMPLIANCE,
        "Storage by state": COMPLIANCE,
    }
    assert shown == {name for name, roles in readers.items() if role in roles}
