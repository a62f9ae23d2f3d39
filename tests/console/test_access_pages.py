"""Keys, members and users in the console."""

import re
from typing import Any

from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from tests.conftest import PASSWORD, Tenant
from tests.console.conftest import Everything, signed_in
from threadhub.workspaces import invitations, keys
from threadhub.workspaces.models import ApiKey, Membership, User
from threadhub.workspaces.permissions import Permission

KEYS = "/admin/workspaces/apikey/"
FORM = {"name": "web server", "username": "owner of acme", "scopes": ["read", "invoke"]}


def make_key(client: Client, tenant: Tenant, **changes: object) -> str:
    """Make a key through the form; returns where the browser is sent."""
    data = {**FORM, "workspace": str(tenant.workspace.pk), "username": tenant.owner.username, **changes}
    answer = client.post(f"{KEYS}add/", data)
    assert answer.status_code == 302, re.findall(r'class="errorlist[^>]*>(.*?)</ul>', answer.content.decode(), re.S)
    return str(answer["Location"])


def secret_in(html: str) -> str:
    match = re.search(r'value="(th_[a-z0-9]+)"', html)
    assert match is not None
    return match[1]


def test_a_new_key_is_shown_once_and_works(console: Client, tenant: Tenant) -> None:
    address = make_key(console, tenant)
    first = console.get(address)
    secret = secret_in(first.content.decode())
    assert "no-store" in first["Cache-Control"]
    actor = keys.authenticate(secret=secret, now=timezone.now())
    assert actor.workspace_id == tenant.workspace.pk
    assert actor.may(Permission.AGENT_INVOKE)
    assert not actor.may(Permission.THREAD_DELETE)
    again = console.get(address, follow=True).content.decode()
    assert secret not in again
    assert "shown once" in again
    key = ApiKey.objects.get(name="web server")
    for page in (f"{KEYS}", f"{KEYS}{key.wire_id}/change/", f"{KEYS}{key.wire_id}/history/", "/admin/"):
        html = console.get(page).content.decode()
        assert secret not in html
        assert bytes(key.digest).hex() not in html


def test_the_secret_is_nowhere_in_the_database(console: Client, tenant: Tenant) -> None:
    address = make_key(console, tenant)
    kept = " ".join(str(Session.objects.get(pk=row.pk).get_decoded()) for row in Session.objects.all())
    secret = secret_in(console.get(address).content.decode())
    assert secret not in kept
    assert "shown once" in kept
    assert "shown once" not in " ".join(str(row.get_decoded()) for row in Session.objects.all())


def test_only_who_made_the_key_sees_its_secret(console: Client, olivia: User, tenant: Tenant) -> None:
    address = make_key(console, tenant)
    assert signed_in(olivia).get(address).status_code == 302
    assert secret_in(console.get(address).content.decode())


def test_a_key_cannot_be_edited(console: Client, tenant: Tenant) -> None:
    key = ApiKey.objects.get(workspace=tenant.workspace)
    before = ApiKey.objects.filter(pk=key.pk).values().get()
    answer = console.post(f"{KEYS}{key.wire_id}/change/", {"name": "Other", "digest": "00", "scopes": "admin"})
    assert answer.status_code == 403
    assert ApiKey.objects.filter(pk=key.pk).values().get() == before


def test_a_revoked_key_stops_working(console: Client, tenant: Tenant) -> None:
    key = ApiKey.objects.get(workspace=tenant.workspace)
    console.post(f"{KEYS}{key.wire_id}/do/revoke/")
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert "Revoke key" not in console.get(f"{KEYS}{key.wire_id}/change/").content.decode()


def test_a_key_is_bound_and_given_a_new_secret(console: Client, tenant: Tenant) -> None:
    old = secret_in(console.get(make_key(console, tenant, agent=tenant.agent.wire_id)).content.decode())
    key = ApiKey.objects.get(name="web server")
    assert key.agent_id == tenant.agent.pk
    answer = console.post(f"{KEYS}{key.wire_id}/do/rotate/")
    assert answer["Location"] == f"{KEYS}{key.wire_id}/secret/"
    new = secret_in(console.get(answer["Location"]).content.decode())
    now = timezone.now()
    assert keys.authenticate(secret=new, now=now) == keys.authenticate(secret=old, now=now)
    html = console.get(f"{KEYS}{key.wire_id}/change/").content.decode()
    assert tenant.agent.wire_id in html
    assert new not in html


def test_a_key_is_given_a_limit_of_its_own(console: Client, tenant: Tenant, settings: Any) -> None:
    settings.RATE_LIMIT_KEY = 100
    make_key(console, tenant, rate_limit="30")
    key = ApiKey.objects.get(name="web server")
    page = f"{KEYS}{key.wire_id}/"
    assert key.rate_limit == 30
    assert "Requests a minute" in console.get(f"{page}change/").content.decode()
    for wanted, kept in (("7", 7), ("101", 7), ("0", 7), ("x", 7), ("", None)):
        console.post(f"{page}do/limit/", {"rate_limit": wanted})
        key.refresh_from_db()
        assert key.rate_limit == kept, wanted
    refused = console.post(
        f"{KEYS}add/", {**FORM, "workspace": str(tenant.workspace.pk), "rate_limit": "101"}, follow=True
    )
    assert "100 requests a minute at most" in refused.content.decode()
    assert ApiKey.objects.filter(name="web server").count() == 1


def test_an_owner_invites_whose_account_they_do_not_know(olivia: User, tenant: Tenant, mallory: User) -> None:
    client = signed_in(olivia)
    assert client.get("/admin/workspaces/membership/add/").status_code == 403
    data = {"workspace": str(tenant.workspace.pk), "invitee": "mallory", "role": "viewer"}
    answer = client.post("/admin/workspaces/invitation/add/", data)
    page = client.get(answer["Location"]).content.decode()
    token = re.search(r'value="(thi_[a-z0-9]+)"', page)
    assert token is not None
    assert "thi_" not in client.get("/admin/workspaces/invitation/").content.decode()
    invitations.accept(user=mallory, token=token[1], now=timezone.now())
    assert Membership.objects.get(workspace=tenant.workspace, user=mallory).role == "viewer"


def test_the_last_owner_stays_in_the_console_too(console: Client, tenant: Tenant) -> None:
    member = Membership.objects.get(workspace=tenant.workspace, user=tenant.owner)
    answer = console.post(f"/admin/workspaces/membership/{member.pk}/do/remove/", follow=True)
    assert "must keep an owner" in answer.content.decode()
    console.post(f"/admin/workspaces/membership/{member.pk}/change/", {"role": "viewer"})
    member.refresh_from_db()
    assert member.role == "owner"


def test_a_key_acts_as_whoever_makes_it_if_they_are_a_member(console: Client, olivia: User) -> None:
    assert 'value="olivia"' in signed_in(olivia).get(f"{KEYS}add/").content.decode()
    assert 'value="root"' not in console.get(f"{KEYS}add/").content.decode()


def test_a_key_needs_a_user_a_scope_and_a_future(console: Client, tenant: Tenant) -> None:
    data = {
        "workspace": str(tenant.workspace.pk),
        "name": "x",
        "username": "nobody",
        "expires_at_0": "2001-01-01",
        "expires_at_1": "00:00",
    }
    html = console.post(f"{KEYS}add/", data).content.decode()
    assert "There is no active member of that name in this workspace." in html
    assert "This is in the past." in html
    assert "This field is required." in html
    assert ApiKey.objects.filter(name="x").count() == 0


def test_members_come_change_and_go(console: Client, tenant: Tenant, mallory: User) -> None:
    data = {"workspace": str(tenant.workspace.pk), "username": "mallory", "role": "viewer"}
    console.post("/admin/workspaces/membership/add/", data)
    membership = Membership.objects.get(workspace=tenant.workspace, user=mallory)
    assert membership.role == "viewer"
    console.post(
        f"/admin/workspaces/membership/{membership.pk}/change/", {"role": "admin", "user": str(tenant.owner.pk)}
    )
    membership.refresh_from_db()
    assert (membership.role, membership.user) == ("admin", mallory)
    again = console.post("/admin/workspaces/membership/add/", data)
    assert again.status_code == 200
    console.post(f"/admin/workspaces/membership/{membership.pk}/do/remove/")
    assert not Membership.objects.filter(pk=membership.pk).exists()


def test_users_are_made_and_deactivated(console: Client, everything: Everything) -> None:
    password = {"password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    console.post("/admin/workspaces/user/add/", {"username": "nora", **password})
    nora = User.objects.get(username="nora")
    assert nora.check_password(PASSWORD)
    assert not nora.is_staff
    console.post(f"/admin/workspaces/user/{nora.wire_id}/change/", {"username": "nora", "metadata": "{}"})
    nora.refresh_from_db()
    assert not nora.is_active
    assert console.get(f"/admin/workspaces/user/{nora.wire_id}/password/").status_code == 200
