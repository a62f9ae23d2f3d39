"""`/agents`, `/agents/{agent_id}` and `/tools`."""

from typing import Any

import pytest

from tests.api.rest.conftest import fault, ids_of, path_of, problem, same_404
from tests.conftest import Api, Tenant
from threadhub.agents.models import Agent
from threadhub.agents.prices import PriceTable
from threadhub.lib import ids
from threadhub.workspaces.models import User

FIELDS = {
    "name": "Support",
    "description": "Answers customers",
    "provider": "echo",
    "model": "m-1",
    "instructions": "Be brief.",
    "temperature": 0.5,
    "max_output_tokens": 100,
    "context_budget": 1000,
    "max_steps": 3,
    "max_seconds": 60,
    "max_run_tokens": 5_000,
    "max_run_cost": "0.25",
    "titles": False,
    "double_texting": "enqueue",
    "active": True,
    "metadata": {"team": "a"},
    "allowed_origins": ["https://shop.example"],
    "identity_required": False,
    "allowed_roles": ["member"],
    "allowed_users": [],
    "limited": True,
    "allowed_keys": [],
}
OWN = {"id", "tools", "public_key", "has_identity_secret", "created_at", "updated_at"}


def make(api: Api, **fields: Any) -> Any:
    return api.post("/agents", {"name": "New", **fields})


def patch(api: Api, agent_id: str, body: dict[str, Any]) -> Any:
    return api.patch(f"/agents/{agent_id}", body, content_type="application/json")


PRICES = '{"currency": "EUR", "prices": {"echo/m-1": {"input": 1, "output": 1}}}'


def test_it_is_made_with_every_field(api: Api, tenant: Tenant, settings: Any) -> None:
    settings.PRICES = PriceTable.parse(PRICES)
    tool = api.get("/tools").json()["data"][0]
    response = make(api, **FIELDS, tools=[tool["id"]])
    assert response.status_code == 201
    agent = response.json()
    assert {name: agent[name] for name in FIELDS} == FIELDS
    assert agent["tools"] == [tool]
    assert agent.keys() == {*FIELDS, *OWN}
    assert response["Location"] == f"/agents/{agent['id']}"
    assert api.get(response["Location"]).json() == agent


def test_a_name_is_enough(api: Api) -> None:
    agent = make(api).json()
    assert (agent["provider"], agent["active"], agent["tools"], agent["temperature"]) == ("echo", True, [], None)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "blank"),
        ("name", None, "null"),
        ("name", "x" * 201, "200"),
        ("nmae", "x", "Did you mean 'name'"),
        ("workspace_id", "x", "Unknown field"),
        ("id", "agent_1", "Unknown field"),
        ("provider", "oracle", "not a valid choice"),
        ("temperature", 2.5, "less than or equal to 2"),
        ("temperature", "0.5", "valid number"),
        ("temperature", True, "valid number"),
        ("max_output_tokens", 0, "greater than or equal to 1"),
        ("max_output_tokens", 2**40, "less than or equal"),
        ("max_steps", 65, "64"),
        ("max_steps", 1.0, "valid integer"),
        ("context_budget", 1, "256"),
        ("active", "true", "boolean"),
        ("metadata", "x", "dictionary"),
        ("double_texting", "ignore", "not a valid choice"),
    ],
)
def test_what_is_not_valid_is_named(api: Api, field: str, value: Any, words: str) -> None:
    before = Agent.objects.count()
    assert words in fault(make(api, **{field: value}), "body", field)
    assert Agent.objects.count() == before


def test_tools_of_others_are_no_tools(api: Api, mallorys: Api) -> None:
    foreign = mallorys.get("/tools").json()["data"][0]["id"]
    for tool in (foreign, ids.encode("tool", ids.new())):
        assert "no tool" in fault(make(api, tools=[tool]), "body", "tools")
    assert "no tool" in fault(make(api, tools=["current_time"]), "body", "tools", 0)
    assert Agent.objects.filter(name="New").count() == 0


def test_they_are_listed_newest_first(api: Api, tenant: Tenant, django_assert_num_queries: Any) -> None:
    made = [make(api, name=name).json()["id"] for name in "abc"]
    # the key, the count, the agents, their tools
    with django_assert_num_queries(4):
        listed = api.get("/agents")
    assert ids_of(listed) == [*made[::-1], tenant.agent.wire_id]
    page = api.get("/agents?take=2&order=asc").json()
    assert (page["count"], page["has_more"]) == (4, True)
    assert ids_of(api.get(path_of(page["next"]))) == made[1:]
    patch(api, made[0], {"active": False})
    assert ids_of(api.get("/agents?active=false")) == [made[0]]
    assert made[0] not in ids_of(api.get("/agents?active=true"))
    assert "true or false" in fault(api.get("/agents?active=yes"), "query", "active")
    assert "Unknown" in fault(api.get("/agents?name=a"), "query", "name")


def test_what_is_sent_is_changed(api: Api, settings: Any) -> None:
    settings.PRICES = PriceTable.parse(PRICES)
    tool = api.get("/tools").json()["data"][0]
    agent = make(api, **FIELDS).json()
    changed = patch(api, agent["id"], {"name": "Renamed", "temperature": None, "tools": [tool["id"]]})
    assert changed.status_code == 200
    expected = {**agent, "name": "Renamed", "temperature": None, "tools": [tool]}
    assert changed.json() == {**expected, "updated_at": changed.json()["updated_at"]}
    assert changed.json()["updated_at"] > agent["updated_at"]
    assert patch(api, agent["id"], {"tools": []}).json()["tools"] == []
    assert patch(api, agent["id"], {}).status_code == 200
    assert "Did you mean 'active'" in fault(patch(api, agent["id"], {"actve": False}), "body", "actve")


@pytest.mark.parametrize("way", ["patch", "delete"])
def test_a_disabled_agent_is_kept_but_not_asked(api: Api, way: str) -> None:
    agent = make(api).json()["id"]
    disabled = patch(api, agent, {"active": False}) if way == "patch" else api.delete(f"/agents/{agent}")
    assert (disabled.status_code, disabled.json()["active"]) == (200, False)
    assert api.get(f"/agents/{agent}").json()["active"] is False
    problem(api.post(f"/agents/{agent}/invoke", {"input": "x"}), 409, "agent_disabled")
    problem(api.post("/chat_sessions", {"agent_id": agent, "external_ref": "v"}), 409, "agent_disabled")
    assert patch(api, agent, {"active": True}).json()["active"] is True


def test_an_agent_that_one_does_not_see_was_never_there(api: Api, tenant: Tenant, other_tenant: Tenant) -> None:
    texts = [other_tenant.agent.wire_id, ids.encode("agent", ids.new()), "agent_123", tenant.agent.wire_id.upper()]
    same_404(
        *(api.get(f"/agents/{text}") for text in texts),
        *(api.delete(f"/agents/{text}") for text in texts),
        *(patch(api, text, {"name": "x"}) for text in texts),
    )
    other_tenant.agent.refresh_from_db()
    assert (other_tenant.agent.name, other_tenant.agent.active) == ("Echo", True)


def test_members_read_and_only_admins_write(as_user: Any, alice: User, tenant: Tenant) -> None:
    client = as_user(alice)
    agent = tenant.agent.wire_id
    assert ids_of(client.get("/agents")) == [agent]
    assert client.get(f"/agents/{agent}").status_code == 200
    for response in (make(client), patch(client, agent, {"name": "x"}), client.delete(f"/agents/{agent}")):
        problem(response, 403, "permission_missing")


def test_tools_are_listed_with_their_schema(api: Api, django_assert_num_queries: Any) -> None:
    api.get("/tools")  # notes the use of the key
    # the key, the tools
    with django_assert_num_queries(2):
        page = api.get("/tools").json()
    assert page["count"] == 1
    (tool,) = page["data"]
    assert tool.keys() == {"id", "name", "description", "kind", "parameters", "config", "approval"}
    assert (tool["name"], tool["kind"]) == ("current_time", "builtin")
    assert tool["parameters"]["properties"].keys() == {"zone"}
    assert tool["description"]


def test_a_budget_of_money_needs_a_price_of_the_model(api: Api, settings: Any) -> None:
    settings.PRICES = PriceTable.parse(PRICES)
    made = make(api, model="m-1").json()
    budget = f"/agents/{made['id']}/budget"
    assert api.put(budget, {"day": {"cost": "5"}}, content_type="application/json").status_code == 200
    for change in ({"model": "m-2"}, {"provider": "openai"}):
        assert "budget of money" in fault(patch(api, made["id"], change), "body", "model")
    assert api.get(f"/agents/{made['id']}").json()["model"] == "m-1"
    settings.PRICES = PriceTable()
    assert patch(api, made["id"], {"name": "Same", "model": "m-1"}).status_code == 200  # nothing is worse by that
    assert api.put(budget, {"day": {"tokens": 5}}, content_type="application/json").status_code == 200
    assert patch(api, made["id"], {"model": "m-2"}).status_code == 200


def test_a_limit_of_money_needs_a_price_of_the_model(api: Api, settings: Any) -> None:
    assert "price" in fault(make(api, model="m-1", max_run_cost="0.25"), "body", "max_run_cost")
    settings.PRICES = PriceTable.parse(PRICES)
    made = make(api, model="m-1", max_run_cost="0.25").json()
    fault(patch(api, made["id"], {"model": "m-2"}), "body", "max_run_cost")
    assert patch(api, made["id"], {"model": "m-2", "max_run_cost": None}).status_code == 200
    settings.PRICES = PriceTable()
    other = make(api).json()
    fault(patch(api, other["id"], {"max_run_cost": "1"}), "body", "max_run_cost")
    assert patch(api, other["id"], {"name": "Same"}).status_code == 200
