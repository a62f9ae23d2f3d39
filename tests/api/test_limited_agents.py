"""Agents limited to some roles, members or API keys; their threads go with them."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.conftest import Api, Tenant
from threadhub.agents.models import Agent
from threadhub.workspaces import keys
from threadhub.workspaces.models import ApiKey, User
from threadhub.workspaces.permissions import Scope

PLAIN = (Scope.READ, Scope.WRITE, Scope.INVOKE)


def limit(api: Api, tenant: Tenant, **allowed: list[str]) -> Any:
    response = api.patch(f"/agents/{tenant.agent.wire_id}", allowed)
    assert response.status_code == 200, response.content
    return response.json()


def reaches(api: Api, tenant: Tenant, thread: str) -> bool:
    """Whether the agent and its thread are there for `api`; by every way the same."""
    agent = tenant.agent.wire_id
    found = {
        api.get(f"/agents/{agent}").status_code == 200,
        agent in str(api.get("/agents").json()),
        agent in str(api.get("/api/ai/agents").json()),
        api.get(f"/threads/{thread}").status_code == 200,
        api.get(f"/threads/{thread}/messages").status_code == 200,
        api.get(f"/threads/{thread}/runs").status_code == 200,
        api.get("/threads").json()["count"] == 1,
        api.get(f"/agents/{agent}/threads").status_code == 200,
        api.get(f"/agents/{agent}/threads/{thread}").status_code == 200,
        api.get(f"/api/ai/threads/{thread}").status_code == 200,
        thread in str(api.get("/api/ai/threads").json()),
        len(api.get("/search?q=zebra").json()["data"]) == 1,
        api.put(f"/agents/{agent}/threads/by-ref/r").status_code == 200,
        api.post(f"/api/ai/{agent}/chat-completion/{thread}", {"messages": []}).status_code != 404,
    }
    assert len(found) == 1
    return found.pop()


@pytest.fixture
def server(tenant: Tenant) -> tuple[ApiKey, Api]:
    """A key that sees the workspace, but may not change agents."""
    key, secret = keys.create(workspace=tenant.workspace, user=tenant.owner, name="server", scopes=PLAIN)
    return key, Api(secret)


@pytest.fixture
def thread(api: Api, tenant: Tenant, alice: User, as_user: Any) -> str:
    """alice's."""
    path = f"/agents/{tenant.agent.wire_id}/threads"
    made: str = as_user(alice).post(path, {"external_ref": "r"}).json()["id"]
    assert api.post(f"/threads/{made}/messages", {"role": "user", "content": "zebra"}).status_code == 201
    return made


def test_an_agent_that_names_nobody_is_everybodys(
    tenant: Tenant, alice: User, thread: str, server: tuple[ApiKey, Api], as_user: Any
) -> None:
    assert reaches(as_user(alice), tenant, thread)
    assert reaches(server[1], tenant, thread)


@pytest.mark.parametrize("way", ["allowed_roles", "allowed_users", "allowed_keys"])
def test_whoever_is_named_has_it_and_no_other(
    way: str, api: Api, tenant: Tenant, alice: User, thread: str, server: tuple[ApiKey, Api], as_user: Any
) -> None:
    key, servers = server
    named = {"allowed_roles": ["member"], "allowed_users": [alice.wire_id], "allowed_keys": [key.wire_id]}[way]
    shown = limit(api, tenant, **{way: named})
    assert shown[way] == named
    assert reaches(as_user(alice), tenant, thread) == (way != "allowed_keys")
    assert reaches(servers, tenant, thread) == (way == "allowed_keys")
    assert reaches(api, tenant, thread)  # it could lift the limit
    limit(api, tenant, **{way: []})
    assert reaches(as_user(alice), tenant, thread)
    assert reaches(servers, tenant, thread)


def test_a_key_does_not_get_in_by_naming_somebody(
    api: Api, tenant: Tenant, alice: User, thread: str, server: tuple[ApiKey, Api]
) -> None:
    limit(api, tenant, allowed_users=[alice.wire_id])
    _, servers = server
    assert servers.get(f"/threads/{thread}", HTTP_X_END_USER=alice.wire_id).status_code == 404
    assert api.get(f"/threads/{thread}", HTTP_X_END_USER=alice.wire_id).status_code == 200


def test_sessions_with_it_are_closed_to_other_keys(
    api: Api, tenant: Tenant, server: tuple[ApiKey, Api], alice: User
) -> None:
    body = {"agent_id": tenant.agent.wire_id, "external_ref": "visitor"}
    session = api.post("/chat_sessions", body).json()
    _, servers = server
    assert servers.get("/chat_sessions").json()["count"] == 1
    limit(api, tenant, allowed_users=[alice.wire_id])
    assert servers.get("/chat_sessions").json()["count"] == 0
    assert servers.get(f"/chat_sessions/{session['id']}").status_code == 404
    assert servers.post("/chat_sessions", body).status_code == 404
    assert Api(session["chat_token"]).get(f"/chat_sessions/{session['id']}").status_code == 200


def test_only_those_of_the_workspace_can_be_named(
    api: Api, tenant: Tenant, mallory: User, other_tenant: Tenant
) -> None:
    foreign_key = ApiKey.objects.get(workspace=other_tenant.workspace).wire_id
    for body in (
        {"allowed_users": [mallory.wire_id]},
        {"allowed_users": ["user_01k00000000000000000000000"]},
        {"allowed_keys": [foreign_key]},
        {"allowed_keys": ["nonsense"]},
        {"allowed_roles": ["king"]},
    ):
        response = api.patch(f"/agents/{tenant.agent.wire_id}", body)
        assert response.status_code == 422, body
        assert response.json()["errors"][0]["loc"][:2] == ["body", *body]
    assert not Agent.objects.get(pk=tenant.agent.pk).limited


def test_who_is_named_is_told_to_those_who_may_change_it(api: Api, tenant: Tenant, alice: User, as_user: Any) -> None:
    limit(api, tenant, allowed_roles=["member"], allowed_users=[alice.wire_id])
    shown = as_user(alice).get(f"/agents/{tenant.agent.wire_id}").json()
    assert [shown[name] for name in ("allowed_roles", "allowed_users", "allowed_keys", "instructions")] == [None] * 4


def test_it_costs_no_query_more(api: Api, tenant: Tenant, thread: str, server: tuple[ApiKey, Api], alice: User) -> None:
    _, servers = server
    servers.get("/threads")
    with CaptureQueriesContext(
        connection,
    ) as before:
        assert servers.get("/threads").json()["count"] == 1
    limit(api, tenant, allowed_users=[alice.wire_id])
    with CaptureQueriesContext(connection) as after:
        assert servers.get("/threads").json()["count"] == 0
    assert len(after) <= len(before)
