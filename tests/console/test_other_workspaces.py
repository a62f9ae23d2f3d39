"""Staff of one workspace find nothing of another and change nothing in it, whatever they ask: every page and deed of
the site, with its ids in addresses, forms, filters and actions. At home they do what their role does.

Pages and deeds are walked from the site's own addresses: whoever adds one finds it here.
"""

from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from tests.conftest import Tenant, make_tenant
from tests.console.addresses import models, of_things, opens_a_page
from tests.console.conftest import Everything, furnish
from tests.console.hostile_site import spread
from tests.console.prying import WORDS, Fields, Prying, named, refused, said, spellings, staff_client
from tests.console.test_every_deed import Deeds
from tests.console.test_roles import CHANGED, COMPLIANCE, DEEDS, LISTS, NEW, NOBODY, SUPPORT
from tests.lifecycle.conftest import archive_directory  # noqa: F401  fixture
from threadhub.lib import ids
from threadhub.workspaces import memberships
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role

NAMED_IN_FORMS = ("workspaces/workspace", "agents/agent", "agents/tool", "workspaces/user", "threads/thread")
OF_ONESELF = {"login", "logout", "password_change"}  # deeds that concern nobody else
# Deeds with a page of their own: the roles that do them.
OWN_PAGES = {
    "agents_agent_try": NEW["agents/agent"],
    "agents_agent_add_try": NEW["agents/agent"],
    "agents_agent_version": CHANGED["agents/agent"],
    "auth_user_password_change": NOBODY,
    "threads_thread_desk": SUPPORT,
    "threads_erasure_certificate": LISTS["threads/erasure"],
    "threads_export_download": LISTS["threads/export"],
    "threads_retentionpolicy_preview": COMPLIANCE,
    "threads_systempolicy_preview": NOBODY,
    "threads_retentionsettings_apply": COMPLIANCE,
}


FEW = [Role.OWNER, Role.SUPPORT, Role.VIEWER]  # who may most, something else, and least


@pytest.fixture
def foreign(other_tenant: Tenant) -> Everything:
    return furnish(other_tenant, WORDS)


@pytest.fixture(params=[role.value for role in Role])
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def robin(role: str, tenant: Tenant) -> Client:
    return staff_client(tenant.workspace, role)


@pytest.fixture
def prying(robin: Client, everything: Everything, foreign: Everything, console: Client) -> Prying:
    theirs = foreign.tenant.workspace
    return Prying(robin, console, theirs, names={WORDS, *named(theirs)})


@pytest.fixture
def spoken(prying: Prying) -> Everything:
    """Of a third workspace, where each text says WORDS."""
    made = spread(make_tenant("third"), WORDS)
    prying.workspace = made.tenant.workspace
    prying.names = {WORDS, *named(prying.workspace)}
    return made


def nothing_was_found(prying: Prying) -> None:
    assert prying.faults == []
    assert prying.changed == []


def never(things: dict[str, Any]) -> dict[str, Any]:
    """Ids of the same kinds that nothing ever had."""
    made: dict[str, Any] = {}
    for noun, each in things.items():
        prefix = str(each).rpartition("_")[0]
        made[noun] = ids.encode(prefix, UUID(int=7 << 120)) if prefix else 10**9
    return made


@pytest.mark.parametrize("role", FEW)
def test_no_page_of_theirs_is_there(prying: Prying, everything: Everything, foreign: Everything) -> None:
    own = set(everything.addresses().values())
    theirs = {name: address for name, address in foreign.addresses().items() if address not in own}
    assert len(theirs) > 100
    for name, address in theirs.items():
        for method, data in (("GET", None), ("POST", {"post": "yes", "_save": "1", "typed": "x"})):
            answer = prying.ask(method, address, data)
            assert refused(answer), (method, name, answer.status_code)
    nothing_was_found(prying)


@pytest.mark.parametrize("role", [Role.OWNER])
def test_theirs_are_as_if_they_had_never_been(prying: Prying, foreign: Everything) -> None:
    absent = of_things(never(foreign.things()), {"number": 1, "file_id": "x", "way": "older"})
    for name, address in foreign.addresses().items():
        answers = [prying.ask("GET", each) for each in (address, absent[name])]
        told = [(each.status_code, each.headers.get("Location"), said(each)) for each in answers]
        assert told[0] == told[1], name


def test_no_deed_reaches_them(prying: Prying, foreign: Everything) -> None:
    """Whole requests, each of which does what it says when a superuser sends it right after."""
    for name, do in Deeds(prying, foreign).rows().items():
        if name not in OF_ONESELF:
            known = len(prying.answers)
            assert do().status_code in (200, 302), name
            for answer in prying.answers[known:]:
                wrong = b"errorlist" in answer.content or answer.status_code == 422
                assert refused(answer) or wrong, (name, answer.status_code)
    nothing_was_found(prying)


def test_a_role_here_is_none_there(everything: Everything, foreign: Everything, console: Client) -> None:
    """An owner at home who is a viewer there."""
    client = staff_client(everything.tenant.workspace, Role.OWNER)
    robin = User.objects.get(username="robin")
    memberships.join(workspace=foreign.tenant.workspace, user=robin, role=Role.VIEWER)
    prying = Prying(client, console, foreign.tenant.workspace)
    for name, do in Deeds(prying, foreign).rows().items():
        if name not in OF_ONESELF:
            do()
    nothing_was_found(prying)


@pytest.mark.parametrize("role", [Role.OWNER])
def test_no_form_takes_anything_of_theirs(prying: Prying, everything: Everything, foreign: Everything) -> None:
    """Every form and deed of one's own, with an id of theirs in one field after the other."""
    swapping = Swapping(prying.client, prying.root, prying.workspace, prying.names)
    things = foreign.things()
    swapping.ids = {str(things[noun]) for noun in NAMED_IN_FORMS}
    for name, do in Deeds(swapping, everything).rows().items():
        if name not in OF_ONESELF:
            do()
    nothing_was_found(swapping)
    assert len(swapping.answers) > 100


class Swapping(Prying):
    """Tries an id of theirs in each field of a form, before the deed itself is done."""

    ids: set[str]

    def get(self, address: str, data: Any = None) -> Any:
        return self.root.get(address, data)

    def post(self, address: str, data: Any = None) -> Any:
        shown = self.client.get(address)
        page = Fields(shown.content.decode() if shown.status_code == 200 else "")
        body = {**page.sent, **(data or {})}
        for name in sorted(body.keys() - {"typed", "csrfmiddlewaretoken"}):
            for each in self._fitting(page.choices.get(name), name in page.free or name not in page.sent):
                self.ask("POST", address, {**body, name: each})
        return self.root.post(address, data)

    def _fitting(self, choices: set[str] | None, free: bool) -> set[str]:
        """Ids of theirs spelled as a field's choices are; as clients spell them, for a text."""
        if choices is None:
            return self.ids if free else set()
        known = {shape(each) for each in choices} - {""}
        return {each for wire_id in self.ids for each in spellings(wire_id) if shape(each) in known}


def shape(text: str) -> str:
    """What an id is spelled like: its prefix, or that it is a key; empty for other words."""
    prefix, _, rest = text.rpartition("_")
    return prefix if len(rest) == 26 else "key" * (len(text) == 36)


@pytest.mark.parametrize("role", FEW)
def test_no_list_shows_or_touches_theirs(prying: Prying, spoken: Everything) -> None:
    things, tenant = spoken.things(), spoken.tenant
    known = {"workspace": tenant.workspace.wire_id, "agent": tenant.agent.wire_id}
    for noun, admin in models().items():
        address, own = f"/admin/{noun}/", str(things[noun])
        if prying.ask("GET", address).status_code != 200:
            continue
        filters = [name for each in admin.list_filter for name in getattr(each, "names", ())]
        for query in (
            *({"q": term} for term in {own, WORDS, spoken.thread.wire_id}),
            *({name: known.get(name, WORDS)} for name in filters),
        ):
            assert prying.ask("GET", address, query).status_code in (200, 302), (noun, query)
        picked = {"action": "delete_selected", "_selected_action": sorted(spellings(own)), "index": "0", "post": "yes"}
        prying.ask("POST", address, picked)
        if opens_a_page(f"{noun} add"):
            filled = {"workspace": tenant.workspace.pk, "agent": tenant.agent.pk, "target": spoken.thread.wire_id}
            prying.ask("GET", f"{address}add/", filled)
    nothing_was_found(prying)


def test_at_home_a_role_does_what_is_its_own(role: str, robin: Client, everything: Everything, console: Client) -> None:
    """What it may not do is refused, and leaves everything as it was."""
    prying = Prying(robin, console, everything.tenant.workspace)
    rows = {name: do for name, do in Deeds(prying, everything).rows().items() if name not in OF_ONESELF}
    assert OWN_PAGES.keys() == {name for name in rows if " " not in name}
    for name, do in rows.items():
        known, changed = len(prying.answers), len(prying.changed)
        do()
        done = [not refused(answer) for answer in prying.answers[known:]]
        if role in doers(name):
            assert all(done), name
        else:
            assert not any(done), name
            assert prying.changed[changed:] == [], name
    assert prying.faults == []


def doers(name: str) -> frozenset[str]:
    """The roles that do a deed of `Deeds.rows`."""
    noun, _, deed = name.partition(" ")
    if not deed:
        return OWN_PAGES[name]
    return {"add": NEW, "change": CHANGED}.get(deed, DEEDS)[noun]
