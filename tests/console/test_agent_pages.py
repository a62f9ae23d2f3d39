"""Agents and tools in the console."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant, make_user
from tests.console.conftest import Everything, signed_in
from threadhub.agents import browsers, configure
from threadhub.agents.models import Agent, Tool
from threadhub.agents.prices import PriceTable
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Role

AGENTS = "/admin/agents/agent/"


def form_of(agent: Agent, **changes: object) -> dict[str, object]:
    """What a browser posts when somebody changes some fields."""
    return {
        "name": agent.name,
        "description": agent.description,
        "provider": agent.provider,
        "model": agent.model,
        "instructions": agent.instructions,
        "temperature": "",
        "max_output_tokens": "",
        "context_budget": agent.context_budget,
        "max_steps": agent.max_steps,
        "max_seconds": agent.max_seconds,
        "double_texting": agent.double_texting,
        "max_run_tokens": "",
        "max_run_cost": "",
        "titles": "on",
        "active": "on",
        "metadata": "{}",
        "its_tools": [str(tool.pk) for tool in agent.tools.all()],
        **changes,
    }


def test_an_agent_is_changed(console: Client, tenant: Tenant) -> None:
    agent = tenant.agent
    changes = {
        "instructions": "Be brief.",
        "model": "m-1",
        "temperature": "0.5",
        "context_budget": "4000",
        "its_tools": [],
    }
    answer = console.post(f"{AGENTS}{agent.wire_id}/change/", form_of(agent, **changes))
    assert answer.status_code == 302
    before = agent.updated_at
    agent.refresh_from_db()
    assert (agent.instructions, agent.model, agent.temperature, agent.context_budget) == ("Be brief.", "m-1", 0.5, 4000)
    assert not agent.tools.exists()
    assert agent.active
    assert agent.updated_at > before


def test_what_a_colleague_saved_meanwhile_is_not_undone_unseen(console: Client, tenant: Tenant) -> None:
    page = f"{AGENTS}{tenant.agent.wire_id}/change/"

    def seen_in(answer: Any) -> str:
        found = re.findall(r'name="seen" value="([^"]+)"', answer.content.decode())
        assert len(found) == 1
        return str(found[0])

    mine = form_of(tenant.agent, instructions="Mine.", seen=seen_in(console.get(page)))
    assert console.post(page, form_of(tenant.agent, description="Theirs.", seen=mine["seen"])).status_code == 302
    answer = console.post(page, mine)
    assert "Somebody changed this agent while the page was open" in answer.content.decode()
    assert "Mine." in answer.content.decode()
    tenant.agent.refresh_from_db()
    assert (tenant.agent.description, tenant.agent.instructions) == ("Theirs.", "")
    assert console.post(page, {**mine, "seen": seen_in(answer)}).status_code == 302
    tenant.agent.refresh_from_db()
    assert tenant.agent.instructions == "Mine."


def test_of_two_who_save_in_the_same_instant_the_second_is_told(tenant: Tenant) -> None:
    seen, now = tenant.agent.updated_at, timezone.now()
    configure.change(actor=tenant.actor, agent=tenant.agent, now=now, seen=seen, description="Theirs.")
    with pytest.raises(configure.AgentChanged):
        configure.change(actor=tenant.actor, agent=tenant.agent, now=now, seen=seen, description="Mine.")
    tenant.agent.refresh_from_db()
    assert tenant.agent.description == "Theirs."


def test_the_workspace_is_locked_before_the_agent_whose_budget_goes(console: Client, tenant: Tenant) -> None:
    """As everywhere else: whoever locks them the other way round waits for ever."""
    with CaptureQueriesContext(connection) as asked:
        console.post(
            f"{AGENTS}{tenant.agent.wire_id}/change/",
            form_of(tenant.agent, **{"initial-day_cost": "5", "day_cost": ""}),
        )
    said = [str(each["sql"]) for each in asked]
    locks = [sql for sql in said if " FOR " in sql and "UPDATE" in sql]
    first = [next(table for table in ("workspaces_workspace", "agents_agent") if f'"{table}"' in sql) for sql in locks]
    assert first[0] == "workspaces_workspace"
    assert "agents_agent" in first


def test_an_agent_is_disabled_and_keeps_its_tools(console: Client, tenant: Tenant) -> None:
    form = form_of(tenant.agent)
    del form["active"]
    console.post(f"{AGENTS}{tenant.agent.wire_id}/change/", form)
    tenant.agent.refresh_from_db()
    assert not tenant.agent.active
    assert tenant.agent.tools.count() == 1


def test_what_is_not_valid_is_said_beside_the_field(console: Client, tenant: Tenant) -> None:
    form = form_of(tenant.agent, temperature="9", context_budget="1", name="", metadata="{")
    html = console.post(f"{AGENTS}{tenant.agent.wire_id}/change/", form).content.decode()
    assert html.count("errorlist") + html.count("Ensure this value") >= 2
    tenant.agent.refresh_from_db()
    assert tenant.agent.name == "Echo"


def test_tools_of_other_workspaces_are_not_offered(console: Client, tenant: Tenant, other_tenant: Tenant) -> None:
    foreign = Tool.objects.get(workspace=other_tenant.workspace)
    form = form_of(tenant.agent, its_tools=[str(foreign.pk)])
    assert console.post(f"{AGENTS}{tenant.agent.wire_id}/change/", form).status_code == 200
    assert foreign not in tenant.agent.tools.all()
    assert str(foreign.pk) not in console.get(f"{AGENTS}{tenant.agent.wire_id}/change/").content.decode()


def test_the_workspace_of_an_agent_stays(console: Client, tenant: Tenant, other_tenant: Tenant) -> None:
    form = form_of(tenant.agent, workspace=str(other_tenant.workspace.pk))
    console.post(f"{AGENTS}{tenant.agent.wire_id}/change/", form)
    tenant.agent.refresh_from_db()
    assert tenant.agent.workspace == tenant.workspace


def test_a_new_agent_is_made_and_its_page_opens_for_the_rest(console: Client, tenant: Tenant) -> None:
    data = {"workspace": str(tenant.workspace.pk), "name": "New", "provider": "echo", "instructions": "Hi", "model": ""}
    answer = console.post(f"{AGENTS}add/", data)
    agent = Agent.objects.get(name="New")
    assert answer["Location"] == f"{AGENTS}{agent.wire_id}/change/"
    assert agent.active
    assert agent.context_budget == 32_000
    assert "Choose its tools" in console.get(answer["Location"]).content.decode()


def test_agents_are_disabled_but_not_deleted(console: Client, everything: Everything) -> None:
    agent = everything.tenant.agent
    assert console.post(f"{AGENTS}{agent.wire_id}/delete/", {"post": "yes"}).status_code == 403
    assert console.get(f"{AGENTS}{agent.wire_id}/do/delete/").status_code == 404


def test_a_tool_has_the_name_of_one_there_is(console: Client, tenant: Tenant) -> None:
    data = {"workspace": str(tenant.workspace.pk), "name": "format_disk", "description": ""}
    assert "There is no built-in tool" in console.post("/admin/agents/tool/add/", data).content.decode()


def test_a_removed_tool_leaves_its_agents(console: Client, everything: Everything) -> None:
    console.post(everything.pages()["agents/tool remove"])
    assert not everything.tenant.agent.tools.exists()


def test_the_limits_of_a_run_and_titles_are_set(console: Client, tenant: Tenant, settings: Any) -> None:
    settings.PRICES = PriceTable.parse('{"currency": "EUR", "prices": {"echo/m-1": {"input": 1, "output": 1}}}')
    agent = tenant.agent
    form = form_of(agent, model="m-1", max_run_tokens="5000", max_run_cost="0.25")
    del form["titles"]
    assert console.post(f"{AGENTS}{agent.wire_id}/change/", form).status_code == 302
    agent.refresh_from_db()
    assert (agent.max_run_tokens, agent.max_run_cost, agent.titles) == (5000, Decimal("0.25"), False)


def test_a_limit_of_money_without_a_price_is_refused_beside_the_field(console: Client, tenant: Tenant) -> None:
    answer = console.post(f"{AGENTS}{tenant.agent.wire_id}/change/", form_of(tenant.agent, max_run_cost="1"))
    assert answer.status_code == 200
    assert "There is no price for this" in answer.content.decode()


def test_until_when_the_secret_before_is_taken_is_told_in_the_readers_zone(console: Client, tenant: Tenant) -> None:
    for _ in range(2):
        browsers.new_identity_secret(actor=tenant.actor, agent=tenant.agent, now=timezone.now())
    html = console.get(f"{AGENTS}{tenant.agent.wire_id}/change/").content.decode()
    assert re.search(r'taken until <time class="th-time" datetime="[^"]+">[^<]+ UTC</time>\.', html)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.SUPPORT, Role.COMPLIANCE])
def test_who_may_only_read_an_agent_reads_its_tools(tenant: Tenant, role: Role) -> None:
    user = make_user("reader", tenant.workspace, role)
    User.objects.filter(pk=user.pk).update(is_staff=True)
    told = [read(signed_in(user), tenant.agent)]
    name = tenant.agent.tools.get().name
    tenant.agent.tools.clear()
    told.append(read(signed_in(user), tenant.agent))
    for text, tools in zip(told, (name, "–"), strict=True):
        assert f" Tools {tools} " in text


def read(client: Client, agent: Agent) -> str:
    html = client.get(f"{AGENTS}{agent.wire_id}/change/").content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())
