"""GET /api/ai/agents[/{id}], and POST and GET /api/ai/agents/{id}/chat"""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from tests.api.ai.conftest import chunks_of, messages_of, new_thread, said, spoken, streamed
from tests.clients.shapes import is_time
from tests.conftest import Api, Tenant
from threadhub.agents import configure
from threadhub.agents.models import Tool
from threadhub.workspaces.models import User
from threads.models import Run


def test_an_agent_has_the_vendors_keys(api: Api, tenant: Tenant) -> None:
    configure.change(
        actor=tenant.actor,
        agent=tenant.agent,
        now=timezone.now(),
        instructions="Be brief.",
        temperature=0.5,
        max_output_tokens=100,
    )
    agent = api.get(f"/api/ai/agents/{tenant.agent.wire_id}").json()
    tool = Tool.objects.get(workspace=tenant.workspace)
    assert is_time(agent.pop("created"))
    assert agent == {
        "_id": tenant.agent.wire_id,
        "name": "Echo",
        "description": "",
        "model": "",
        "systemPrompt": "Be brief.",
        "tools": [{"_id": tool.wire_id, "name": "current_time", "description": ""}],
        "temperature": 0.5,
        "maxTokens": 100,
        "tenant": tenant.workspace.wire_id,
        "workspace": tenant.workspace.wire_id,
        "triggerSource": None,
        "targetSource": "echo",
        "active": True,
    }
    (listed,) = api.get("/api/ai/agents").json()
    listed.pop("created")
    assert listed == agent


def test_instructions_are_for_those_who_may_change_them(tenant: Tenant, alice: User, as_user: Any) -> None:
    path = f"/api/ai/agents/{tenant.agent.wire_id}"
    assert as_user(alice).get(path).json()["systemPrompt"] is None
    assert as_user(tenant.owner).get(path).json()["systemPrompt"] == ""


def test_agents_of_others_are_not_found(api: Api, other_tenant: Tenant) -> None:
    for agent in (other_tenant.agent.wire_id, "nonsense", "agent_01jaaaaaaaaaaaaaaaaaaaaaaa"):
        response = api.get(f"/api/ai/agents/{agent}")
        assert (response.status_code, response.json()["message"]) == (404, "Agent not found")
    assert other_tenant.agent.wire_id not in api.get("/api/ai/agents").content.decode()
    assert Api().get("/api/ai/agents").status_code == 401


def test_many_agents_take_as_many_queries_as_one(api: Api, tenant: Tenant, django_assert_num_queries: Any) -> None:
    for number in range(5):
        configure.create(actor=tenant.actor, name=str(number), provider="echo")
    api.get("/api/ai/agents")
    with django_assert_num_queries(3):  # the key with its user; the agents; their tools
        assert [agent["name"] for agent in api.get("/api/ai/agents").json()] == ["4", "3", "2", "1", "0", "Echo"]


@pytest.mark.usefixtures("worker")
def test_chat_answers_alone_or_in_a_thread(api: Api, tenant: Tenant) -> None:
    path = f"/api/ai/agents/{tenant.agent.wire_id}/chat"
    alone = api.post(path, said("Hi")).json()
    assert alone["choices"][0]["message"]["content"] == "You said: Hi"
    thread_id = new_thread(api, tenant)
    assert api.post(path, said("Hi", threadId=thread_id)).status_code == 200
    assert spoken(api, thread_id) == [("user", "Hi"), ("assistant", "You said: Hi")]
    missing = api.post(path, said("Hi", threadId="nonsense"))
    assert (missing.status_code, missing.json()["message"]) == (404, "Thread not found")


@pytest.mark.usefixtures("worker")
def test_chat_by_get_is_a_stream(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    query = urlencode({"messages": json.dumps(said("Hi")["messages"]), "threadId": thread_id})
    path = f"/api/ai/agents/{tenant.agent.wire_id}/chat?{query}"
    told = chunks_of(streamed(api, path))
    assert "".join(chunk["content"] for chunk in told[:-1]) == "You said: Hi"
    assert len(messages_of(api, thread_id)) == 2
    assert api.head(path).status_code == 200
    assert len(messages_of(api, thread_id)) == 2, "HEAD asks nothing"


@pytest.mark.parametrize("messages", ["", "{", "[]", "undefined"])
def test_chat_by_get_needs_messages(api: Api, tenant: Tenant, messages: str) -> None:
    query = urlencode({"messages": messages})
    response = api.get(f"/api/ai/agents/{tenant.agent.wire_id}/chat?{query}")
    assert response.status_code == 400
    assert "messages" in response.json()["message"]
    assert not Run.objects.exists()
