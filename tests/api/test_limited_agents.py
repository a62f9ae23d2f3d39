"""Agents limited to some roles, members or API keys; their threads go with them."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.conftest import Api, Tenant
from threadhub.agents.models import Agent
from threadhub.workspaces import keys, memberships
from threadhub.workspaces.models import ApiKey, User
from threadhub.workspaces.permissions import Role, Scope

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


class TestLeaving:
    """Whoever leaves is named by no agent any more."""

    def leave(self, api: Api, tenant: Tenant, alice: User) -> None:
        path = f"/workspaces/{tenant.workspace.wire_id}/members/{alice.wire_id}"
        assert api.delete(path).status_code == 204

    def test_coming_back_does_not_bring_the_agent_back(
        self, api: Api, tenant: Tenant, alice: User, victor: User, thread: str, as_user: Any
    ) -> None:
        limit(api, tenant, allowed_users=[alice.wire_id, victor.wire_id])
        self.leave(api, tenant, alice)
        assert api.get(f"/agents/{tenant.agent.wire_id}").json()["allowed_users"] == [victor.wire_id]
        memberships.join(workspace=tenant.workspace, user=alice, role=Role.MEMBER)
        assert not reaches(as_user(alice), tenant, thread)
        assert as_user(victor).get(f"/agents/{tenant.agent.wire_id}").status_code == 200

    def test_an_agent_whose_last_one_left_does_not_open(
        self, api: Api, tenant: Tenant, alice: User, victor: User, as_user: Any
    ) -> None:
        path = f"/agents/{tenant.agent.wire_id}"
        limit(api, tenant, allowed_users=[alice.wire_id])
        self.leave(api, tenant, alice)
        shown = api.get(path).json()
        assert (shown["limited"], shown["allowed_users"]) == (True, [])
        for body in ({"name": "Other"}, {"allowed_users": [], "allowed_keys": [], "allowed_roles": []}):
            assert api.patch(path, body).status_code == 200
            assert as_user(victor).get(path).status_code == 404
        assert api.patch(path, {"limited": False}).json()["limited"] is False
        assert as_user(victor).get(path).status_code == 200

    def test_a_revoked_key_is_named_no_more(self, api: Api, tenant: Tenant, server: tuple[ApiKey, Api]) -> None:
        limit(api, tenant, allowed_keys=[server[0].wire_id])
        assert api.delete(f"/api_keys/{server[0].wire_id}").status_code == 204
        shown = api.get(f"/agents/{tenant.agent.wire_id}").json()
        assert (shown["limited"], shown["allowed_keys"]) == (True, [])

    def test_a_key_that_ends_with_its_person_is_named_no_more(
        self, api: Api, tenant: Tenant, alice: User, as_user: Any
    ) -> None:
        def mine() -> str:
            body = {"nickname": "mine", "expiresAt": "2099-01-01"}
            made: str = as_user(alice).post("/api/me/api-tokens", body).json()["apiToken"]["_id"]
            return made

        first, second = mine(), mine()
        limit(api, tenant, allowed_keys=[first, second])
        assert as_user(alice).delete(f"/api/me/api-tokens/{first}").status_code == 200
        assert api.get(f"/agents/{tenant.agent.wire_id}").json()["allowed_keys"] == [second]
        self.leave(api, tenant, alice)
        assert api.get(f"/agents/{tenant.agent.wire_id}").json()["allowed_keys"] == []


def test_an_agent_that_names_somebody_is_not_for_everybody(api: Api, tenant: Tenant, alice: User) -> None:
    limit(api, tenant, allowed_users=[alice.wire_id])
    answer = api.patch(f"/agents/{tenant.agent.wire_id}", {"limited": False})
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", "limited"])


def test_tools_are_those_of_the_agents_that_one_may_have(
    api: Api, tenant: Tenant, alice: User, victor: User, as_user: Any
) -> None:
    other = api.post("/agents", {"name": "Other", "provider": "echo"}).json()["id"]
    spare = api.post("/tools", {"name": "spare", "kind": "http", "config": {"url": "https://example.org/"}}).json()[
        "id"
    ]
    lent = api.post("/tools", {"name": "lent", "kind": "http", "config": {"url": "https://example.org/"}}).json()["id"]
    api.patch(f"/agents/{other}", {"tools": [lent], "allowed_users": [alice.wire_id]})
    builtin = {tool["name"] for tool in api.get(f"/agents/{tenant.agent.wire_id}").json()["tools"]}

    def names(client: Api) -> set[str]:
        return {tool["name"] for tool in client.get("/tools").json()["data"]}

    bound = Api(api.post("/api_keys", {"name": "b", "scopes": ["read"], "agent_id": other}).json()["secret"])
    persons = Api(api.post("/api_keys", {"name": "p", "scopes": ["read"], "end_user": "u-1"}).json()["secret"])
    assert names(api) == builtin | {"spare", "lent"}
    assert names(as_user(alice)) == builtin | {"lent"}
    assert names(as_user(victor)) == names(persons) == builtin
    assert names(bound) == set()  # the key is not among those that may have its agent
    api.patch(f"/agents/{other}", {"allowed_users": []})
    assert names(bound) == {"lent"}
    assert bound.get(f"/tools/{lent}").status_code == 200
    assert bound.get(f"/tools/{spare}").status_code == 404
