"""`Idempotency-Key`, in both dialects: one effect and one answer, however often a POST is sent."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from chat_sessions.models import ChatSession
from tests.conftest import Api, Tenant
from threadhub.api import idempotency
from threadhub.api.models import IdempotencyRecord
from threads.models import Message, Run, Thread

KEY = {"Idempotency-Key": "order-4711"}


@pytest.fixture(params=["rest", "ai"])
def making(request: pytest.FixtureRequest, tenant: Tenant) -> tuple[str, dict[str, Any], str]:
    """Where a thread is made in each dialect, with what body, and the key of its id."""
    if request.param == "rest":
        return f"/agents/{tenant.agent.wire_id}/threads", {"external_ref": "x"}, "id"
    return "/api/ai/threads", {"integration": tenant.agent.wire_id}, "_id"


@pytest.fixture(params=["rest", "ai"])
def asking(request: pytest.FixtureRequest, tenant: Tenant, api: Api) -> tuple[str, dict[str, Any]]:
    """Where a question is asked in each dialect, and how."""
    thread = api.post(f"/agents/{tenant.agent.wire_id}/threads").json()["id"]
    if request.param == "rest":
        return f"/threads/{thread}/invoke", {"prompt": "/say done"}
    path = f"/api/ai/{tenant.agent.wire_id}/chat-completion/{thread}"
    return path, {"messages": [{"role": "user", "content": "/say done"}]}


def test_a_retry_makes_nothing_and_answers_the_same(api: Api, making: tuple[str, dict[str, Any], str]) -> None:
    path, body, name = making
    first = api.post(path, body, headers=KEY)
    second = api.post(path, body, headers=KEY)
    assert first.json() == second.json()
    assert (first.status_code, second["Idempotent-Replayed"]) == (second.status_code, "true")
    assert first.get("Location") == second.get("Location")
    assert Thread.objects.count() == 1
    assert api.post(path, body, headers={"Idempotency-Key": "another"}).json()[name] != first.json()[name]


def test_another_body_under_the_same_key_is_refused(api: Api, making: tuple[str, dict[str, Any], str]) -> None:
    path, body, _ = making
    api.post(path, body, headers=KEY)
    answer = api.post(path, {**body, "title": "other"}, headers=KEY)
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] == "idempotency_key_reused"
    assert Thread.objects.count() == 1


def test_the_key_belongs_to_its_route_and_its_workspace(api: Api, tenant: Tenant, other_tenant: Tenant) -> None:
    first = api.post(f"/agents/{tenant.agent.wire_id}/threads", headers=KEY).json()
    foreign = Api(other_tenant.key).post(f"/agents/{other_tenant.agent.wire_id}/threads", headers=KEY)
    assert foreign.status_code == 200
    assert foreign.json()["id"] != first["id"]
    message = {"role": "user", "content": "hi"}
    assert api.post(f"/threads/{first['id']}/messages", message, headers=KEY).status_code in (200, 201)


def test_a_request_that_failed_may_be_sent_again(api: Api, tenant: Tenant) -> None:
    path = f"/agents/{tenant.agent.wire_id}/threads"
    assert api.post(path, {"nonsense": 1}, headers=KEY).status_code == 422
    assert IdempotencyRecord.objects.count() == 0
    assert api.post(path, {}, headers=KEY).status_code == 200


@pytest.mark.parametrize("key", ["", "ü", "x" * 256])
def test_a_malformed_key_is_refused(api: Api, tenant: Tenant, key: str) -> None:
    answer = api.post(f"/agents/{tenant.agent.wire_id}/threads", headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_malformed")
    assert Thread.objects.count() == 0


def test_keys_are_forgotten_after_a_day(api: Api, tenant: Tenant) -> None:
    path = f"/agents/{tenant.agent.wire_id}/threads"
    first = api.post(path, headers=KEY).json()
    yesterday = timezone.now() - timedelta(hours=25)
    IdempotencyRecord.objects.update(created_at=yesterday)
    assert api.post(path, headers=KEY).json()["id"] != first["id"]
    IdempotencyRecord.objects.update(created_at=yesterday)
    assert idempotency.remove_old(now=timezone.now()) == 1


def test_a_stored_answer_with_secrets_cannot_be_read_in_the_database(api: Api, tenant: Tenant) -> None:
    body = {"agent_id": tenant.agent.wire_id, "external_ref": "visitor"}
    opened = api.post("/chat_sessions", body, headers=KEY).json()
    again = api.post("/chat_sessions", body, headers=KEY).json()
    assert again == opened
    assert ChatSession.objects.count() == 1
    stored = bytes(IdempotencyRecord.objects.get().answer or b"")
    assert opened["refresh_token"].encode() not in stored
    assert opened["chat_token"].encode() not in stored


@pytest.mark.usefixtures("worker")
def test_a_retry_of_a_question_joins_its_run(api: Api, asking: tuple[str, dict[str, Any]]) -> None:
    path, body = asking
    first = api.post(path, body, headers=KEY)
    second = api.post(path, body, headers=KEY)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert Run.objects.count() == 1
    assert Message.objects.filter(role="user").count() == 1


@pytest.mark.usefixtures("worker")
def test_a_question_whose_provider_failed_in_passing_may_be_asked_again(
    api: Api, tenant: Tenant, settings: Any
) -> None:
    settings.PROVIDER_RETRIES = 0
    thread = api.post(f"/agents/{tenant.agent.wire_id}/threads").json()["id"]
    body = {"prompt": "/fail provider_unavailable"}
    for _ in range(2):
        assert api.post(f"/threads/{thread}/invoke", body, headers=KEY).status_code == 502
    assert Run.objects.count() == 2


@pytest.mark.usefixtures("worker")
def test_many_at_once_have_one_effect(api: Api, tenant: Tenant, asking: tuple[str, dict[str, Any]]) -> None:
    path, body = asking

    def one(_: int) -> tuple[int, bytes]:
        try:
            answer = Api(tenant.key).post(path, body, headers=KEY)
            return answer.status_code, answer.content
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(one, range(24)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 200
    assert Run.objects.count() == 1
    assert Message.objects.count() == 2
