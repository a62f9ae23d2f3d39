"""POST /api/ai/threads"""

import re
from typing import Any

import pytest
from django.utils import timezone

from tests.clients.shapes import is_time
from tests.conftest import Api, Tenant
from threadhub.agents import configure
from threadhub.workspaces import keys
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Scope
from threads.models import Thread

FIELDS = {
    "_id",
    "integration",
    "title",
    "messages",
    "messageSummaries",
    "created",
    "updated",
    "user",
    "workspace",
}


def create(api: Api, body: dict[str, Any]) -> Any:
    return api.post("/api/ai/threads", body)


def test_it_answers_201_with_the_thread(api: Api, tenant: Tenant) -> None:
    response = create(api, {"integration": tenant.agent.wire_id, "title": "Customer Support Chat"})
    assert response.status_code == 201
    thread = response.json()
    assert thread.keys() == FIELDS
    assert re.fullmatch(r"thread_[0-9a-hjkmnp-tv-z]{26}", thread["_id"])
    assert thread["integration"] == tenant.agent.wire_id
    assert thread["title"] == "Customer Support Chat"
    assert (thread["messages"], thread["messageSummaries"]) == ([], [])
    assert is_time(thread["created"])
    assert thread["created"] == thread["updated"]
    assert thread["user"] == tenant.owner.wire_id
    assert thread["workspace"] == tenant.workspace.wire_id


@pytest.mark.parametrize("title", [{}, {"title": None}])
def test_a_title_is_not_needed(api: Api, tenant: Tenant, title: dict[str, Any]) -> None:
    response = create(api, {"integration": tenant.agent.wire_id, **title})
    assert response.status_code == 201
    assert response.json()["title"] is None


def test_a_title_is_kept_as_sent(api: Api, tenant: Tenant) -> None:
    title = "  <b>Ünïcode</b> ✓ \n"
    thread = create(api, {"integration": tenant.agent.wire_id, "title": title}).json()
    assert api.get(f"/api/ai/threads/{thread['_id']}").json()["title"] == title


def test_user_and_workspace_are_those_of_the_token_whatever_is_sent(
    tenant: Tenant, other_tenant: Tenant, alice: User, mallory: User, as_user: Any
) -> None:
    forged = {
        "user": mallory.wire_id,
        "workspace": other_tenant.workspace.wire_id,
        "_id": "thread_x",
        "created": "1999-01-01T00:00:00.000Z",
        "messages": [{"role": "system", "content": "x"}],
        "state": "trashed",
    }
    thread = create(as_user(alice), {"integration": tenant.agent.wire_id, **forged}).json()
    assert (thread["user"], thread["workspace"]) == (alice.wire_id, tenant.workspace.wire_id)
    assert thread["_id"] != "thread_x"
    assert thread["created"] > "2025"
    assert as_user(alice).get(f"/api/ai/threads/{thread['_id']}").json()["messages"] == []


@pytest.mark.parametrize("integration", [{}, {"integration": ""}, {"integration": None}, {"integration": ["x"]}])
def test_an_integration_must_be_named(api: Api, tenant: Tenant, integration: dict[str, Any]) -> None:
    response = create(api, integration)
    assert response.status_code == 400
    assert response.json()["error"] == response.json()["message"] == "Valid integration ID is required"
    assert not Thread.objects.exists()


def test_an_integration_that_is_malformed_absent_foreign_or_disabled_is_not_found(
    api: Api, tenant: Tenant, other_tenant: Tenant
) -> None:
    wanted = ["nonsense", "agent_01jaaaaaaaaaaaaaaaaaaaaaaa", tenant.agent.wire_id.upper(), other_tenant.agent.wire_id]
    configure.change(actor=tenant.actor, agent=tenant.agent, now=timezone.now(), active=False)
    for integration in [*wanted, tenant.agent.wire_id]:
        response = create(api, {"integration": integration})
        body = response.json()
        assert (response.status_code, body["error"]) == (404, "Integration not found"), integration
        assert body["code"] == "agent_not_found"
    assert not Thread.objects.exists()


def test_a_viewer_and_a_key_that_reads_may_not(tenant: Tenant, victor: User, as_user: Any) -> None:
    _, secret = keys.create(workspace=tenant.workspace, user=tenant.owner, name="reader", scopes=[Scope.READ])
    for api in (as_user(victor), Api(secret)):
        response = create(api, {"integration": tenant.agent.wire_id})
        assert response.status_code == 403
        assert response.json()["message"]
    assert not Thread.objects.exists()


@pytest.mark.parametrize("title", [7 * "long " * 200, {"a": 1}])
def test_a_bad_title_is_400_and_named(api: Api, tenant: Tenant, title: Any) -> None:
    response = create(api, {"integration": tenant.agent.wire_id, "title": title})
    assert response.status_code == 400
    assert response.json()["message"].startswith("title: ")
    assert response.json()["errors"][0]["loc"] == ["body", "title"]


def test_nobody_is_401(tenant: Tenant) -> None:
    response = create(Api(), {"integration": tenant.agent.wire_id})
    assert response.status_code == 401
    assert response.json()["error"] == "Unauthorized"
