"""`/agents/{agent_id}/versions[/{number}[/restore]]`."""

from typing import Any

import pytest

from tests.api.rest.conftest import problem
from tests.conftest import Api, Tenant
from threadhub.agents.models import AgentVersion
from threadhub.workspaces.models import User


@pytest.fixture
def agent(api: Api) -> dict[str, Any]:
    return api.post("/agents", {"name": "Support", "instructions": "Be brief.", "max_steps": 3}).json()


def change(api: Api, agent: dict[str, Any], **fields: Any) -> dict[str, Any]:
    response = api.patch(f"/agents/{agent['id']}", fields)
    assert response.status_code == 200, response.content
    return response.json()


def versions(api: Api, agent: dict[str, Any]) -> list[dict[str, Any]]:
    return api.get(f"/agents/{agent['id']}/versions").json()["data"]


def restore(api: Api, agent: dict[str, Any], number: Any) -> Any:
    return api.post(f"/agents/{agent['id']}/versions/{number}/restore")


def test_each_change_of_how_it_answers_is_a_version(api: Api, agent: dict[str, Any]) -> None:
    change(api, agent, instructions="Be kind.", max_steps=4)
    change(api, agent, instructions="Be kind.", active=False, allowed_roles=["member"])  # who may have it is no part
    newest, first = versions(api, agent)
    assert (newest["number"], first["number"]) == (2, 1)
    assert (newest["changed"], first["changed"]) == (["instructions", "max_steps"], [])
    assert newest["author"].startswith("key:")
    assert (first["values"]["instructions"], newest["values"]["instructions"]) == ("Be brief.", "Be kind.")
    one = api.get(f"/agents/{agent['id']}/versions/1").json()
    assert one == first


def test_it_answers_as_before_again(api: Api, agent: dict[str, Any], tenant: Tenant) -> None:
    tool = tenant.agent.tools.get()
    change(api, agent, tools=[tool.wire_id], temperature=0.5, metadata={"team": "a"})
    change(api, agent, name="Other", instructions="", tools=[], temperature=None, allowed_roles=["viewer"])
    response = restore(api, agent, 2)
    assert response.status_code == 200
    now = response.json()
    assert (now["name"], now["instructions"], now["temperature"]) == ("Support", "Be brief.", 0.5)
    assert [each["id"] for each in now["tools"]] == [tool.wire_id]
    assert now["allowed_roles"] == ["viewer"]  # whoever may have it now, and nobody else
    newest = versions(api, agent)[0]
    assert (newest["number"], newest["restored_from"]) == (4, 2)
    assert newest["values"]["tools"] == [tool.wire_id]


def test_going_back_to_how_it_is_changes_nothing(api: Api, agent: dict[str, Any]) -> None:
    assert restore(api, agent, 1).status_code == 200
    assert len(versions(api, agent)) == 1


def test_a_tool_that_is_gone_stays_gone(api: Api, agent: dict[str, Any], tenant: Tenant) -> None:
    tool = tenant.agent.tools.get()
    change(api, agent, tools=[tool.wire_id])
    assert api.delete(f"/tools/{tool.wire_id}").status_code == 204
    assert [each["changed"] for each in versions(api, agent)] == [["tools"], ["tools"], []]
    assert restore(api, agent, 2).json()["tools"] == []


def test_what_is_not_valid_any_more_is_not_brought_back(api: Api, agent: dict[str, Any]) -> None:
    change(api, agent, instructions="Other.")
    AgentVersion.objects.filter(number=1, values__instructions="Be brief.").update(
        values={**versions(api, agent)[1]["values"], "tools": [], "max_run_cost": "1"}
    )
    assert restore(api, agent, 1).status_code == 422
    assert api.get(f"/agents/{agent['id']}").json()["instructions"] == "Other."


@pytest.mark.parametrize("number", ["0", "3", "-1", "x", "01", "9" * 30])
def test_what_there_is_not(api: Api, agent: dict[str, Any], number: str) -> None:
    problem(api.get(f"/agents/{agent['id']}/versions/{number}"), 404, "agent_version_not_found")
    problem(restore(api, agent, number), 404, "agent_version_not_found")


def test_only_who_may_change_agents_sees_them(as_user: Any, alice: User, mallory: User, agent: dict[str, Any]) -> None:
    for path in ("versions", "versions/1"):
        assert as_user(alice).get(f"/agents/{agent['id']}/{path}").status_code == 403
        assert as_user(mallory).get(f"/agents/{agent['id']}/{path}").status_code == 404
    assert restore(as_user(alice), agent, 1).status_code == 403
    assert restore(as_user(mallory), agent, 1).status_code == 404


def test_the_list_has_pages(api: Api, agent: dict[str, Any]) -> None:
    for number in range(5):
        change(api, agent, instructions=str(number))
    page = api.get(f"/agents/{agent['id']}/versions?take=4").json()
    assert (page["count"], [each["number"] for each in page["data"]]) == (6, [6, 5, 4, 3])
    rest = api.get(page["next"]).json()
    assert [each["number"] for each in rest["data"]] == [2, 1]
