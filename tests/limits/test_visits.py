"""Anonymous visitors of one address may keep so many chat sessions with one agent open."""

from typing import Any

import pytest

from tests.conftest import Api, Tenant
from threadhub.agents import configure

pytestmark = pytest.mark.django_db
PAGE = "https://shop.example.org"


@pytest.fixture
def key(api: Api, tenant: Tenant, settings: Any) -> str:
    settings.CHAT_SESSIONS_PER_ADDRESS = 2
    return let_in(api, tenant.agent.wire_id)


def let_in(api: Api, agent_id: str) -> str:
    assert api.patch(f"/agents/{agent_id}", {"allowed_origins": [PAGE]}).status_code == 200
    return str(api.post(f"/agents/{agent_id}/public_key").json()["public_key"])


def visit(key: str, address: str = "192.0.2.1") -> Any:
    return Api().post("/chat_sessions", {"agent_key": key}, headers={"Origin": PAGE}, REMOTE_ADDR=address)


def test_it_refuses_one_too_many(key: str) -> None:
    assert [visit(key).status_code for _ in range(2)] == [200, 200]
    refused = visit(key)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_chat_sessions")
    assert refused["Retry-After"] == "60"
    assert visit(key, address="192.0.2.2").status_code == 200


def test_one_that_has_ended_counts_no_more(key: str) -> None:
    opened = visit(key).json()
    visit(key)
    assert visit(key).status_code == 429
    assert Api(opened["chat_token"]).delete(f"/chat_sessions/{opened['id']}").status_code == 204
    assert visit(key).status_code == 200


def test_another_agents_sessions_do_not_count(key: str, api: Api, tenant: Tenant) -> None:
    assert [visit(key).status_code for _ in range(3)] == [200, 200, 429]
    other = configure.create(actor=tenant.actor, name="Other", provider="echo")
    assert visit(let_in(api, other.wire_id)).status_code == 200


def test_opening_counts_for_the_address(key: str, settings: Any) -> None:
    settings.CHAT_SESSIONS_PER_ADDRESS, settings.RATE_LIMIT_ADDRESS = 0, 2
    said = [visit(key) for _ in range(3)]
    assert [each.status_code for each in said] == [200, 200, 429]
    assert said[-1].json()["code"] == "rate_limited"


def test_servers_are_not_limited(key: str, api: Api, tenant: Tenant) -> None:
    body = {"agent_id": tenant.agent.wire_id, "external_ref": "v"}
    assert {api.post("/chat_sessions", body).status_code for _ in range(4)} == {200}
