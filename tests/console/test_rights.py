"""Staff see the workspaces where their role lets them, and do what it lets them."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant, make_user
from tests.console.conftest import Everything, furnish, signed_in
from threadhub.agents.models import Agent
from threadhub.lib import ids
from threadhub.workspaces.models import ApiKey, Membership, User, Workspace
from threadhub.workspaces.permissions import Role
from threads.actions import threads
from threads.models import Thread


@pytest.fixture
def foreign(other_tenant: Tenant) -> Everything:
    return furnish(other_tenant, "The foreign secret")


def test_lists_hold_ones_own_workspace_only(olivia: User, everything: Everything, foreign: Everything) -> None:
    client = signed_in(olivia)
    for name, address in everything.pages().items():
        html = client.get(address).content.decode()
        assert "foreign secret" not in html, name
        assert foreign.thread.wire_id not in html, name
        assert "evil" not in html, name


def test_a_foreign_thing_answers_like_one_that_never_was(
    olivia: User, everything: Everything, foreign: Everything
) -> None:
    client, own = signed_in(olivia), everything.addresses().values()
    theirs = {name: address for name, address in foreign.addresses().items() if address not in own}
    assert len(theirs) > 100
    for name, address in theirs.items():
        assert client.get(address).status_code in (302, 403, 404), name
        assert client.post(address).status_code in (302, 403, 404), name
    assert Thread.objects.filter(pk=foreign.thread.pk).exists()


def test_a_search_does_not_reach_into_other_workspaces(
    olivia: User, console: Client, everything: Everything, foreign: Everything
) -> None:
    for term in ("foreign", foreign.thread.wire_id, "The foreign secret", foreign.run.wire_id):
        link = f"/admin/threads/thread/{foreign.thread.wire_id}/change/"
        assert link not in signed_in(olivia).get("/admin/threads/thread/", {"q": term}).content.decode()
        assert link in console.get("/admin/threads/thread/", {"q": term}).content.decode()


def test_a_viewer_who_is_staff_reads_no_transcripts(tenant: Tenant, everything: Everything) -> None:
    viewer = make_user("vera", tenant.workspace, Role.VIEWER)
    User.objects.filter(pk=viewer.pk).update(is_staff=True)
    viewer.refresh_from_db()
    client = signed_in(viewer)
    assert client.get("/admin/threads/thread/").status_code == 403
    assert client.get(f"/admin/threads/thread/{everything.thread.wire_id}/change/").status_code in (302, 403)
    assert client.get("/admin/workspaces/apikey/").status_code == 403
    assert client.get("/admin/agents/agent/").status_code == 200
    agent = everything.tenant.agent
    answer = client.post(f"/admin/agents/agent/{agent.wire_id}/change/", {"name": "Mine now"})
    assert answer.status_code == 403
    assert Agent.objects.get(pk=agent.pk).name == "Echo"
    removal = everything.pages()["agents/tool remove"]
    assert (client.get(removal).status_code, client.post(removal).status_code) == (403, 403)
    assert agent.tools.exists()
    assert "no role in a workspace" in client.get("/admin/").content.decode()


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER])
def test_what_is_refused_is_a_page_that_says_why(role: Role, tenant: Tenant, everything: Everything) -> None:
    member = make_user("mia", tenant.workspace, role)
    User.objects.filter(pk=member.pk).update(is_staff=True)
    member.refresh_from_db()
    client, pages = signed_in(member), everything.pages()
    refused = {name: client.get(address) for name, address in pages.items()}
    refused = {name: answer for name, answer in refused.items() if answer.status_code in (403, 404)}
    assert {
        "threads/thread list",
        "workspaces/apikey list",
        "threads/hold add",
        "procrastinate/procrastinatejob list",
    } <= refused.keys()
    for name, answer in refused.items():
        html = answer.content.decode()
        assert "You may not do this" in html or "Nothing is here" in html, name
        assert "To the overview" in html, name
        assert "Where is my order" not in html, name
    seen = client.get(pages["threads/thread page"], follow=True).content.decode()
    assert "There is no such thread, or you may not see it." in seen


def test_absent_and_foreign_read_the_same(olivia: User, everything: Everything, foreign: Everything) -> None:
    client = signed_in(olivia)
    for noun in ("threads/thread", "agents/agent", "threads/hold", "workspaces/apikey"):
        there = foreign.things()[noun]
        never = ids.encode(there.rpartition("_")[0], ids.new())
        for page in ("change", "history"):
            found = [client.get(f"/admin/{noun}/{pk}/{page}/", follow=True) for pk in (there, never)]
            told = [
                (one.status_code, one.redirect_chain, [str(said) for said in one.context["messages"]]) for one in found
            ]
            assert told[0] == told[1], (noun, page)


def test_a_bad_filter_is_a_page_too(console: Client, tenant: Tenant) -> None:
    answer = console.get("/admin/threads/thread/?title__regex=(a")
    html = answer.content.decode()
    assert answer.status_code == 400
    assert "This cannot be asked" in html
    assert 'href="/admin/threads/thread/">Take all filters away' in html


def test_filters_are_offered_to_be_taken_away_only_where_they_were_refused(console: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 1
    page = "/admin/agents/agent/add/?_changelist_filters=state%3Dlive"
    asked = (console.get("/admin/threads/thread/?_to_field=nope"), console.post(page, {"name": "x", "model": "y"}))
    for answer in asked:
        assert answer.status_code == 400
        assert "This cannot be asked" in answer.content.decode()
        assert "Take all filters away" not in answer.content.decode()


def test_an_owner_makes_nothing_in_other_workspaces(olivia: User, everything: Everything, foreign: Everything) -> None:
    client = signed_in(olivia)
    elsewhere = str(foreign.tenant.workspace.pk)
    agents, keys, members = Agent.objects.count(), ApiKey.objects.count(), Membership.objects.count()
    client.post("/admin/agents/agent/add/", {"workspace": elsewhere, "name": "Spy", "provider": "echo"})
    client.post(
        "/admin/workspaces/apikey/add/", {"workspace": elsewhere, "name": "Spy", "username": "olivia", "scopes": "read"}
    )
    client.post("/admin/workspaces/membership/add/", {"workspace": elsewhere, "username": "olivia", "role": "owner"})
    assert (Agent.objects.count(), ApiKey.objects.count(), Membership.objects.count()) == (agents, keys, members)


def test_only_superusers_make_workspaces(olivia: User, console: Client) -> None:
    assert signed_in(olivia).get("/admin/workspaces/workspace/add/").status_code == 403
    assert (
        console.post(
            "/admin/workspaces/workspace/add/", {"name": "A new one", "external_ref_policy": "warn"}
        ).status_code
        == 302
    )
    assert Workspace.objects.filter(name="A new one").exists()


def test_a_role_that_is_taken_away_is_gone_with_the_next_page(olivia: User, everything: Everything) -> None:
    client = signed_in(olivia)
    assert client.get("/admin/threads/thread/").status_code == 200
    Membership.objects.filter(user=olivia).delete()
    assert client.get("/admin/threads/thread/").status_code == 403


@pytest.mark.parametrize("noun", ["threads/thread", "threads/run", "chat_sessions/chatsession"])
def test_what_the_domain_decides_has_no_forms(noun: str, console: Client, everything: Everything) -> None:
    address = everything.pages()[f"{noun} page"]
    assert console.get(f"/admin/{noun}/add/").status_code == 403
    assert console.post(address, {"title": "Changed", "status": "succeeded"}).status_code == 403
    assert console.get(address.replace("/change/", "/delete/")).status_code == 403
    assert console.post(address.replace("/change/", "/delete/"), {"post": "yes"}).status_code == 403
    assert Thread.objects.get(pk=everything.thread.pk).title == "Where is my order?"


def test_there_is_no_deleting_by_ticking_boxes(console: Client, everything: Everything) -> None:
    for name, address in everything.pages().items():
        if name.endswith(" list"):
            html = console.get(address).content.decode()
            assert "delete_selected" not in html, name
            assert 'name="_selected_action"' not in html, name
    chosen = {"action": "delete_selected", "_selected_action": [str(everything.thread.pk)], "index": "0", "post": "yes"}
    console.post("/admin/threads/thread/", chosen)
    assert Thread.objects.filter(pk=everything.thread.pk).exists()


def test_temporary_threads_do_not_show(console: Client, tenant: Tenant) -> None:
    thread = threads.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now(), title="Passing")
    Thread.objects.filter(pk=thread.pk).update(state=Thread.State.TEMPORARY)
    assert "Passing" not in console.get("/admin/threads/thread/").content.decode()
    assert console.get(f"/admin/threads/thread/{thread.wire_id}/change/").status_code == 302
