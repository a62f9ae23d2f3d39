"""What holds for all addresses of the `ai` dialect: errors, aliases, headers, no redirects"""

from typing import Any

import pytest

from tests.api.ai.conftest import new_thread
from tests.conftest import Api, Tenant
from threadhub.workspaces.models import User


def check(response: Any, status: int, code: str) -> None:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/json"
    body = response.json()
    assert {"error", "message", "code", "requestId"} <= body.keys()
    assert body["code"] == code
    assert body["message"]
    assert body["error"] == ("Unauthorized" if status == 401 else body["message"])


@pytest.mark.parametrize(
    ("method", "path"),
    [("put", "/api/ai/threads"), ("patch", "/api/me"), ("get", "/api/signin"), ("post", "/api/workspaces")],
)
def test_another_method_is_405(api: Api, method: str, path: str) -> None:
    response = getattr(api, method)(path)
    check(response, 405, "method_not_allowed")
    assert response["Allow"]


def test_a_chat_address_by_get_is_405(api: Api, tenant: Tenant) -> None:
    check(api.get(f"/api/ai/{tenant.agent.wire_id}/chat-completion"), 405, "method_not_allowed")


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/api/ai", "/api/ai/threads/", "/api/me/"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_unknown_address_is_404_and_never_a_redirect(api: Api, path: str, method: str) -> None:
    check(getattr(api, method)(path), 404, "not_found")


@pytest.mark.parametrize("path", ["/api/ai/threads", "/api/signin"])
def test_malformed_json_is_400(api: Api, path: str) -> None:
    check(api.post(path, "{"), 400, "bad_request")
    check(api.post(path, "[1]"), 400, "invalid")
    check(api.post(path, '{"title": "\\u0000"}'), 400, "invalid")
    check(api.post(path, '{"a": 1, "a": 2}'), 400, "invalid")


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-16"],
)
def test_other_bodies_than_json_are_415(api: Api, content_type: str) -> None:
    check(api.post("/api/ai/threads", "a=1", content_type=content_type), 415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["text/plain;charset=UTF-8", ""])
def test_json_is_taken_whatever_it_is_called(api: Api, tenant: Tenant, content_type: str) -> None:
    body = f'{{"integration": "{tenant.agent.wire_id}"}}'
    assert api.post("/api/ai/threads", body, content_type=content_type).status_code == 201


def test_a_large_body_is_413(api: Api, settings: Any) -> None:
    settings.REQUEST_MAX_BYTES = 100
    check(api.post("/api/ai/threads", {"title": "x" * 200}), 413, "too_large")


def test_a_token_in_either_header_is_the_same(tenant: Tenant) -> None:
    assert Api().get("/api/ai/threads", headers={"x-api-key": tenant.key}).status_code == 200
    assert Api().get("/api/ai/threads", headers={"Authorization": f"Bearer {tenant.key}"}).status_code == 200
    check(Api().get("/api/ai/threads", headers={"Authorization": f"Basic {tenant.key}"}), 401, "unauthenticated")
    check(Api().get("/api/ai/threads"), 401, "unauthenticated")


def test_v1_is_an_alias(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    response = api.get(f"/api/v1/ai/threads/{thread_id}?", headers={"Accept-Version": "v1"})
    assert response.json() == api.get(f"/api/ai/threads/{thread_id}?").json()
    assert response["X-API-Version"] == "v1"
    assert api.get("/api/v1/me").status_code == 200
    check(api.get("/api/v1/nothing"), 404, "not_found")


def test_answers_are_kept_by_nobody(api: Api) -> None:
    for path in ("/api/ai/threads", "/api/me", "/api/ai/agents"):
        response = api.get(path)
        assert response["Cache-Control"] == "private, no-cache"
        assert response["X-API-Version"] == "v1"


@pytest.mark.parametrize("path", ["/api/ai/threads", "/api/me", "/api/workspaces", "/api/ai/agents"])
def test_head_works_wherever_get_does(api: Api, path: str) -> None:
    response = api.head(path)
    assert (response.status_code, response.content) == (200, b"")


def test_a_chat_token_opens_nothing_here(api: Api, tenant: Tenant, alice: User) -> None:
    body = {"agent_id": tenant.agent.wire_id, "external_ref": "visitor"}
    token = api.post("/chat_sessions", body).json()["chat_token"]
    for path in ("/api/ai/threads", "/api/me", "/api/workspaces", "/api/ai/agents", "/api/me/api-tokens"):
        assert Api(token).get(path).status_code == 403
