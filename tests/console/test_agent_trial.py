"""Trying an agent beside its form: what is asked and what is not kept."""

import asyncio
import hashlib
import json
from typing import Any

import pytest
from django.test import Client

from tests.conftest import Api, Tenant, make_user
from tests.console.conftest import signed_in
from tests.console.test_agent_pages import form_of
from threadhub.agents.models import Agent, AgentVersion, Budget, DailyUsage
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role
from threads.models import Run, Thread

pytestmark = pytest.mark.django_db(transaction=True)


def attempt(user: User, agent: Agent, *said: str, **changes: Any) -> tuple[int, list[dict[str, Any]]]:
    """The status, and the events of the answer or what is refused. `said` are question, answer, question…"""
    return asked(user, f"{agent.wire_id}/try/", {**form_of(agent), "said": turns(*said), **changes})


def attempt_new(user: User, tenant: Tenant, *said: str, **changes: Any) -> tuple[int, list[dict[str, Any]]]:
    """The same of an agent that nobody has saved."""
    form = {"workspace": str(tenant.workspace.pk), "name": "New", "provider": "echo", "model": "", "instructions": ""}
    return asked(user, "add/try/", {**form, "said": turns(*said), **changes})


def turns(*said: str) -> str:
    return json.dumps([["assistant" if at % 2 else "user", text] for at, text in enumerate(said)])


def asked(user: User, page: str, form: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    answer = signed_in(user).post(f"/admin/agents/agent/{page}", form)

    async def whole() -> bytes:
        return b"".join([part async for part in answer])

    status = answer.status_code
    body = asyncio.run(whole()) if answer.streaming else answer.content
    if status != 200:
        return status, [json.loads(body)] if body.startswith(b"{") else []
    frames = body.decode().split("\n\n")[:-1]
    return status, [json.loads(frame.removeprefix("data: ")) for frame in frames]


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event.get("text", "") for event in events)


def test_it_answers_by_what_the_form_says_and_nothing_is_saved(root: User, tenant: Tenant) -> None:
    status, events = attempt(root, tenant.agent, "/context", instructions="Speak like a pirate.", model="other")
    assert status == 200
    told = json.loads(text_of(events))
    assert told["model"] == "other"
    assert told["instructions"] == hashlib.sha256(b"Speak like a pirate.").hexdigest()
    assert events[-1] == {"end": "stop"}
    tenant.agent.refresh_from_db()
    assert (tenant.agent.instructions, tenant.agent.model) == ("", "")
    assert Thread.objects.count() == Run.objects.count() == 0


def test_it_knows_what_was_said(root: User, tenant: Tenant) -> None:
    _, events = attempt(root, tenant.agent, "My name is Ann.", "Hello Ann.", "/context")
    assert json.loads(text_of(events))["roles"] == "uau"


def test_tools_are_told_and_not_called(root: User, tenant: Tenant) -> None:
    _, events = attempt(root, tenant.agent, "/tool current_time {}")
    assert {"tool": "current_time", "arguments": {}} in events
    assert events[-1] == {"end": "tool_calls"}


def test_what_it_uses_counts(root: User, tenant: Tenant) -> None:
    attempt(root, tenant.agent, "Hello", model="m-2")
    (day,) = DailyUsage.objects.all()
    assert (day.purpose, day.model, day.count) == ("trial", "m-2", 1)
    assert day.output_tokens
    assert AuditEvent.objects.filter(action="agent.try", ids=[tenant.agent.wire_id]).count() == 1


def test_a_budget_holds_here_too(root: User, tenant: Tenant) -> None:
    attempt(root, tenant.agent, "Hello")
    Budget.objects.create(workspace=tenant.workspace, agent=tenant.agent, period="day", tokens=1)
    status, (told,) = attempt(root, tenant.agent, "Hello")
    assert (status, told["errors"]) == (422, ["The agent's budget for this day is used up."])


def test_a_fault_of_the_service_is_told(root: User, tenant: Tenant) -> None:
    status, events = attempt(root, tenant.agent, "/fail provider_refused")
    assert status == 200
    assert events[-1]["code"] == "provider_refused"


def test_what_takes_too_long_ends(root: User, tenant: Tenant) -> None:
    _, events = attempt(root, tenant.agent, "/slow 0.3 /length 60", max_seconds="1")
    assert events[-1]["code"] == "provider_timeout"
    assert DailyUsage.objects.get().estimated == 1


def test_faults_of_the_form_are_told(root: User, tenant: Tenant) -> None:
    status, (told,) = attempt(root, tenant.agent, "Hello", temperature="9", name="")
    assert status == 422
    assert [each.partition(":")[0] for each in told["errors"]] == ["Name", "Temperature"]


@pytest.mark.parametrize(
    "said", ["", "x", "{}", "[]", '["user"]', '[["user", 1]]', '[["system", "x"]]', '[["user", " "]]', "[" * 90_000]
)
def test_nonsense_is_refused(root: User, tenant: Tenant, said: str) -> None:
    status, (told,) = attempt(root, tenant.agent, said=said)
    assert (status, len(told["errors"])) == (422, 1)


def test_only_who_may_change_the_agent_tries_it(tenant: Tenant, other_tenant: Tenant) -> None:
    for workspace, role, status in ((tenant.workspace, Role.VIEWER, 403), (other_tenant.workspace, Role.OWNER, 404)):
        user = make_user(f"staff of {workspace.name}", workspace, role)
        User.objects.filter(pk=user.pk).update(is_staff=True)
        assert attempt(user, tenant.agent, "Hello")[0] == status
    assert not DailyUsage.objects.exists()


def test_it_is_asked_by_post_alone(console: Client, tenant: Tenant) -> None:
    assert console.get(f"/admin/agents/agent/{tenant.agent.wire_id}/try/").status_code == 405
    assert console.post("/admin/agents/agent/agent_nobody/try/").status_code == 404


class TestAnAgentThatNobodyHasSaved:
    """The form for a new one, tried before there is an agent."""

    def test_it_answers_and_there_is_no_agent_afterwards(self, root: User, tenant: Tenant) -> None:
        agents, versions = Agent.objects.count(), AgentVersion.objects.count()
        status, events = attempt_new(root, tenant, "/context", instructions="Speak like a pirate.", model="other")
        assert status == 200
        told = json.loads(text_of(events))
        assert (told["model"], told["roles"]) == ("other", "u")
        assert told["instructions"] == hashlib.sha256(b"Speak like a pirate.").hexdigest()
        assert events[-1] == {"end": "stop"}
        assert (Agent.objects.count(), AgentVersion.objects.count()) == (agents, versions)
        assert Thread.objects.count() == Run.objects.count() == 0

    def test_what_it_uses_counts_for_the_workspace(self, root: User, tenant: Tenant) -> None:
        for _ in range(2):
            attempt_new(root, tenant, "Hello", model="m-2")
        (day,) = DailyUsage.objects.all()
        assert (day.workspace, day.agent, day.purpose, day.model, day.count) == (
            tenant.workspace, None, "trial", "m-2", 2,
        )  # fmt: skip
        (first, _) = AuditEvent.objects.filter(action="agent.try").order_by("created_at")
        assert (first.workspace_id, first.ids, first.details) == (tenant.workspace.pk, [], {"model": "m-2"})
        api = Api(tenant.key)
        report = api.get("/usage?group_by=agent,purpose").json()
        assert [(row["agent_id"], row["count"]) for row in report["rows"]] == [(None, 2)]
        assert api.get(f"/agents/{tenant.agent.wire_id}/usage").json()["total"]["count"] == 0

    def test_the_workspaces_budget_holds_here_too(self, root: User, tenant: Tenant) -> None:
        Budget.objects.create(workspace=tenant.workspace, agent=None, period="month", tokens=1)
        assert attempt_new(root, tenant, "Hello")[0] == 200
        status, (told,) = attempt_new(root, tenant, "Hello")
        assert (status, told["errors"]) == (422, ["The workspace's budget for this month is used up."])

    @pytest.mark.parametrize(
        ("field", "value", "sentence"),
        [
            ("name", "", "Name: This field is required."),
            ("workspace", "", "Workspace: This field is required."),
            ("provider", "nobody", "Provider: Select a valid choice. nobody is not one of the available choices."),
        ],
    )
    def test_faults_of_the_form_are_told(
        self, root: User, tenant: Tenant, field: str, value: str, sentence: str
    ) -> None:
        status, (told,) = attempt_new(root, tenant, "Hello", **{field: value})
        assert (status, told["errors"]) == (422, [sentence])
        assert not DailyUsage.objects.exists()

    def test_one_tries_in_ones_own_workspaces_only(self, olivia: User, tenant: Tenant, other_tenant: Tenant) -> None:
        assert attempt_new(olivia, tenant, "Hello")[0] == 200
        status, (told,) = attempt_new(olivia, other_tenant, "Hello")
        assert status == 422
        assert told["errors"][0].startswith("Workspace: Select a valid choice.")
        viewer = make_user("vera", tenant.workspace, Role.VIEWER)
        User.objects.filter(pk=viewer.pk).update(is_staff=True)
        assert attempt_new(viewer, tenant, "Hello")[0] == 403
        assert DailyUsage.objects.get().count == 1

    def test_it_is_asked_by_post_alone(self, console: Client) -> None:
        assert console.get("/admin/agents/agent/add/try/").status_code == 405
        assert "/admin/agents/agent/add/try/" in console.get("/admin/agents/agent/add/").content.decode()
