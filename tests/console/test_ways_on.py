"""From a thread to what else there is about it, and to the work of officers with their forms filled in."""

import re
from html import unescape

import pytest
from django.test import Client

from tests.conftest import Tenant, make_user
from tests.console.conftest import Everything, signed_in
from tests.console.threads import make, page
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role
from threads.models import Thread


def ways(client: Client, thread: Thread) -> dict[str, str]:
    """title: address."""
    found = re.findall(r'<p><a class="th-link" href="([^"]*)">([^<]*)</a></p>', page(client, thread))
    return {title: unescape(address) for address, title in found}


def filled_in(client: Client, address: str) -> dict[str, str]:
    """What the form of that address holds: name: value or chosen option."""
    html = client.get(address).content.decode()
    fields = dict(re.findall(r'<input type="text" name="(\w+)" value="([^"]*)"', html))
    for name, options in re.findall(r'<select name="(\w+)"(.*?)</select>', html, re.S):
        fields[name] = "".join(re.findall(r'<option value="([^"]*)" selected', options))
    return {name: unescape(value) for name, value in fields.items()}


def test_forms_about_a_thread_are_filled_in(console: Client, everything: Everything) -> None:
    thread = everything.thread
    found = ways(console, thread)
    about = {"workspace": str(thread.workspace_id), "scope": "thread", "target": thread.wire_id}
    for title in ("Place on hold", "Export this thread"):
        assert filled_in(console, found[title]).items() >= about.items(), title
    trail = console.get(found["Audit trail"]).content.decode()
    assert "thread.read" in trail
    assert thread.wire_id in trail


def test_the_person_to_erase_is_whose_thread_it_is(console: Client, everything: Everything, tenant: Tenant) -> None:
    thread = everything.thread
    Thread.objects.filter(pk=thread.pk).update(user=tenant.owner)
    by_user, by_session = {"user": tenant.owner.wire_id}, {"session": everything.session.wire_id}
    for user, whom in ((tenant.owner, by_user), (None, by_session)):
        Thread.objects.filter(pk=thread.pk).update(user=user)
        asked = filled_in(console, ways(console, thread)["Erase this person"])
        assert {asked["subject"]: asked["value"]} == whom
    referred = make(tenant, "Another", external_ref="customer & co")
    Thread.objects.filter(pk=referred.pk).update(user=None)
    asked = filled_in(console, ways(console, referred)["Erase this person"])
    assert (asked["subject"], asked["value"]) == ("external_ref", "customer & co")
    Thread.objects.filter(pk=referred.pk).update(external_ref=None)
    assert "Erase this person" not in ways(console, referred)


@pytest.mark.parametrize(
    ("role", "titles"),
    [
        (Role.SUPPORT, ["Runs of this thread"]),
        (
            Role.OWNER,
            ["Runs of this thread", "Place on hold", "Export this thread", "Erase this person", "Audit trail"],
        ),
    ],
)
def test_only_what_a_role_may_do_is_offered(role: Role, titles: list[str], tenant: Tenant) -> None:
    someone = make_user("sam", tenant.workspace, role)
    User.objects.filter(pk=someone.pk).update(is_staff=True)
    thread = make(tenant, "Asked", external_ref="customer 7")
    assert list(ways(signed_in(someone), thread)) == titles
