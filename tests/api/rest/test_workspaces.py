"""`/workspaces`, and lists of chat sessions."""

from typing import Any

import pytest

from tests.conftest import Api, Tenant
from threadhub.workspaces import memberships
from threadhub.workspaces.permissions import Role


def test_a_key_has_one_workspace(api: Api, tenant: Tenant, other_tenant: Tenant) -> None:
    (found,) = api.get("/workspaces").json()["data"]
    assert found.keys() == {"id", "name", "created_at"}
    assert (found["id"], found["name"]) == (tenant.workspace.wire_id, "acme")
    assert api.get(f"/workspaces/{found['id']}").json() == found
    foreign, absent = (
        api.get(f"/workspaces/{name}").json()
        for name in (other_tenant.workspace.wire_id, "workspace_01k00000000000000000000000")
    )
    foreign.pop("request_id")
    absent.pop("request_id")
    assert foreign == absent
    assert foreign["code"] == "workspace_not_found"


def test_a_person_has_all_that_they_belong_to(tenant: Tenant, other_tenant: Tenant, alice: Any, as_user: Any) -> None:
    assert as_user(alice).get("/workspaces").json()["count"] == 1
    memberships.join(workspace=other_tenant.workspace, user=alice, role=Role.VIEWER)
    assert as_user(alice).get("/workspaces").json()["count"] == 2


@pytest.fixture
def sessions(api: Api, tenant: Tenant) -> list[dict[str, Any]]:
    return [
        api.post("/chat_sessions", {"agent_id": tenant.agent.wire_id, "external_ref": ref}).json() for ref in ("a", "b")
    ]


def test_living_sessions_are_listed_without_secrets(api: Api, sessions: list[dict[str, Any]]) -> None:
    listed = api.get("/chat_sessions").json()
    assert [row["id"] for row in listed["data"]] == [session["id"] for session in reversed(sessions)]
    assert not {"chat_token", "refresh_token"} & set(listed["data"][0])
    (only,) = api.get("/chat_sessions?externalRef=a").json()["data"]
    assert only["id"] == sessions[0]["id"]
    assert api.get("/chat_sessions?agentId=nonsense").json()["count"] == 0
    api.delete(f"/chat_sessions/{sessions[0]['id']}")
    assert api.get("/chat_sessions").json()["count"] == 1


def test_nobody_else_sees_the_list(
    sessions: list[dict[str, Any]], other_tenant: Tenant, alice: Any, as_user: Any
) -> None:
    assert Api(other_tenant.key).get("/chat_sessions").json()["count"] == 0
    assert Api(sessions[0]["chat_token"]).get("/chat_sessions").status_code == 403
    assert as_user(alice).get("/chat_sessions").status_code == 403


def test_messages_are_filtered_by_role(api: Api, tenant: Tenant) -> None:
    thread = api.post(f"/agents/{tenant.agent.wire_id}/threads").json()["id"]
    for role in ("user", "assistant", "user"):
        api.post(f"/threads/{thread}/messages", {"role": role, "content": role})
    path = f"/threads/{thread}/messages"
    assert [row["position"] for row in api.get(f"{path}?role=user").json()["data"]] == [1, 3]
    assert api.get(f"{path}?role=nobody").status_code == 422
