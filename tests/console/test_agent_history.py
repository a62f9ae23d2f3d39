"""An agent's history in the console: its versions, and going back to one."""

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import Tenant, make_user
from tests.console.conftest import signed_in
from threadhub.agents import configure
from threadhub.agents.models import AgentVersion
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role


@pytest.fixture
def history(tenant: Tenant) -> str:
    """Its address; the agent was changed twice."""
    for instructions in ("Be kind.\nBe brief.", "Be kind.\nBe long."):
        configure.change(actor=tenant.actor, agent=tenant.agent, now=timezone.now(), instructions=instructions)
    return f"/admin/agents/agent/{tenant.agent.wire_id}/history/"


def test_it_tells_what_was_changed_by_whom(console: Client, history: str) -> None:
    html = console.get(history).content.decode()
    assert html.index("Version 3") < html.index("Version 2") < html.index("Version 1")
    assert "<del>- Be brief.</del>" in html
    assert "<ins>+ Be long.</ins>" in html
    assert html.count("Go back to it") == 2
    assert "key “test”" in html


def test_an_agent_without_a_version_says_so(console: Client, tenant: Tenant) -> None:
    AgentVersion.objects.filter(agent_id=tenant.agent.pk).delete()
    answer = console.get(f"/admin/agents/agent/{tenant.agent.wire_id}/history/")
    assert answer.status_code == 200
    assert "No version yet" in answer.content.decode()


def test_one_goes_back(console: Client, history: str, tenant: Tenant) -> None:
    asked = console.get(f"{history}2/").content.decode()
    assert "<ins>+ Be brief.</ins>" in asked
    answer = console.post(f"{history}2/")
    assert (answer.status_code, answer["Location"]) == (302, history)
    tenant.agent.refresh_from_db()
    assert tenant.agent.instructions == "Be kind.\nBe brief."
    newest = AgentVersion.objects.filter(agent_id=tenant.agent.pk).latest("number")
    assert (newest.number, newest.restored_from) == (4, 2)
    assert newest.author.startswith("user:")
    assert AuditEvent.objects.filter(action="agent.update", actor=newest.author).exists()


def test_the_version_in_force_has_nothing_to_go_back_to(console: Client, history: str) -> None:
    html = console.get(f"{history}3/").content.decode()
    assert "answers as in version 3 now" in html
    assert "Go back to version" not in html


def test_what_is_gone_is_said(console: Client, history: str, tenant: Tenant) -> None:
    tenant.agent.tools.get().delete()
    assert "1 of its tools is gone since" in console.get(f"{history}1/").content.decode()


@pytest.mark.parametrize("number", ["0", "99", "x", "-1", "9" * 40, "%00", "1.5"])
def test_what_there_is_not(console: Client, history: str, number: str) -> None:
    assert console.get(f"{history}{number}/").status_code == 404
    assert console.post(f"{history}{number}/").status_code == 404


def test_nonsense_for_a_page_is_the_first_page(console: Client, history: str) -> None:
    for before in ("x", "-1", "0", "9" * 40, "%00"):
        assert "Version 3" in console.get(f"{history}?before={before}").content.decode()
    assert "Version 3" not in console.get(f"{history}?before=3").content.decode()


def test_long_histories_have_pages(console: Client, history: str, tenant: Tenant) -> None:
    for number in range(20):
        configure.change(actor=tenant.actor, agent=tenant.agent, now=timezone.now(), instructions=str(number))
    html = console.get(history).content.decode()
    assert "?before=4" in html
    assert "Version 3" in console.get(f"{history}?before=4").content.decode()


def test_who_may_not_change_agents_sees_no_history(history: str, tenant: Tenant, other_tenant: Tenant) -> None:
    for workspace, role, status in ((tenant.workspace, Role.VIEWER, 403), (other_tenant.workspace, Role.OWNER, 404)):
        user = make_user(f"staff of {workspace.name}", workspace, role)
        User.objects.filter(pk=user.pk).update(is_staff=True)
        for address in (history, f"{history}1/"):
            assert signed_in(user).get(address).status_code in {status, 302, 404}
        assert signed_in(user).post(f"{history}1/").status_code in {status, 404}
    assert AgentVersion.objects.filter(agent_id=tenant.agent.pk).count() == 3
