"""`/workspaces`, and lists of chat sessions."""

from typing import Any

import pytest

from tests.conftest import Api, Tenant, access_token, make_user
from threadhub.audit.models import AuditEvent
from threadhub.workspaces import memberships
from threadhub.workspaces.models import Workspace
from threadhub.workspaces.permissions import Role


def test_a_key_has_one_workspace(api: Api, tenant: Tenant, other_tenant: Tenant) -> None:
    (found,) = api.get("/workspaces").json()["data"]
    assert found.keys() == {"id", "name", "external_ref_policy", "transcript_reason", "created_at"}
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


def as_role(tenant: Tenant, role: Role) -> Api:
    return Api(access_token(make_user(f"a {role.value}".replace(" ", "_"), tenant.workspace, role)))


@pytest.mark.parametrize(("role", "status"), [("owner", 200), ("admin", 200), ("member", 403), ("viewer", 403)])
def test_the_policy_of_external_refs_is_an_admins_to_set(tenant: Tenant, role: str, status: int) -> None:
    client, path = as_role(tenant, Role(role)), f"/workspaces/{tenant.workspace.wire_id}"
    answer = client.patch(path, {"external_ref_policy": "refuse"})
    assert answer.status_code == status, answer.content
    expected = "refuse" if status == 200 else "warn"
    assert client.get(path).json()["external_ref_policy"] == expected
    assert client.get(path).json()["name"] == "acme"
    events = AuditEvent.objects.filter(action="workspace.update", ids=[tenant.workspace.wire_id])
    assert [event.details for event in events] == (
        [{"fields": ["external_ref_policy"], "external_ref_policy": "refuse"}] if status == 200 else []
    )


def test_the_policy_that_was_set_counts_at_once(api: Api, tenant: Tenant) -> None:
    threads = f"/agents/{tenant.agent.wire_id}/threads"
    assert api.post(threads, {"external_ref": "ada@example.org"}).status_code == 200
    api.patch(f"/workspaces/{tenant.workspace.wire_id}", {"external_ref_policy": "refuse"})
    assert api.post(threads, {"external_ref": "ada@example.org"}).json()["code"] == "external_ref_sensitive"


def test_the_name_is_an_owners(tenant: Tenant) -> None:
    path = f"/workspaces/{tenant.workspace.wire_id}"
    both = {"name": "New", "external_ref_policy": "allow"}
    assert as_role(tenant, Role.ADMIN).patch(path, both).status_code == 403
    assert Workspace.objects.get(pk=tenant.workspace.pk).external_ref_policy == "warn"
    assert as_role(tenant, Role.OWNER).patch(path, both).json()["name"] == "New"


@pytest.mark.parametrize("body", [{"external_ref_policy": "maybe"}, {"created_at": "2020-01-01"}, {"name": ""}])
def test_what_is_no_setting_is_refused(tenant: Tenant, body: dict[str, str]) -> None:
    path = f"/workspaces/{tenant.workspace.wire_id}"
    answer = as_role(tenant, Role.OWNER).patch(path, body)
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", *body])
