"""How the tests of the `rest` dialect ask, and what they expect of errors and pages."""

from typing import Any

import pytest
from django.test import AsyncClient

from tests.conftest import Api, Tenant

THREAD_FIELDS = [
    "id",
    "agent_id",
    "user_id",
    "external_ref",
    "title",
    "created_at",
    "updated_at",
    "metadata",
    "state",
    "origin",
    "chat_session_id",
    "messages_count",
    "last_activity_at",
    "handled_by",
    "branch",
    "expires_at",
    "policy",
    "held",
]
MESSAGE_FIELDS = [
    "id",
    "thread_id",
    "role",
    "message_type",
    "content",
    "title",
    "tool_calls",
    "tool_call_id",
    "tool_result",
    "created_at",
    "updated_at",
    "position",
    "name",
    "documents",
    "partial",
    "author",
    "run_id",
    "usage",
    "extra",
]
PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0xLjQK"
TXT = "data:text/plain,plain%20words"


def new_thread(api: Api, tenant: Tenant, **fields: Any) -> dict[str, Any]:
    """A new thread with the tenant's agent."""
    response = api.post(f"/agents/{tenant.agent.wire_id}/threads", fields)
    assert response.status_code == 200, response.content
    thread: dict[str, Any] = response.json()
    return thread


def say(api: Api, thread: dict[str, Any], *texts: str) -> list[dict[str, Any]]:
    """Messages of the user, appended by the server's key."""
    return [posted(api, thread, role="user", content=text) for text in texts]


def posted(api: Api, thread: dict[str, Any], **message: Any) -> dict[str, Any]:
    response = api.post(f"/threads/{thread['id']}/messages", message)
    assert response.status_code == 201, response.content
    body: dict[str, Any] = response.json()
    return body


def open_session(api: Api, tenant: Tenant, external_ref: str = "visitor", **fields: Any) -> dict[str, Any]:
    body = {"agent_id": tenant.agent.wire_id, "external_ref": external_ref, **fields}
    response = api.post("/chat_sessions", body)
    assert response.status_code == 200, response.content
    session: dict[str, Any] = response.json()
    return session


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The problem that the response is, once its members are as RFC 9457 and WIRE's decision 10 want them."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert list(body)[:6] == ["type", "title", "status", "detail", "code", "request_id"]
    assert (body["status"], body["code"]) == (status, code)
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert body["request_id"]
    for row in body.get("errors", []):
        assert row.keys() == {"loc", "msg", "type"}
    return body


def fault(response: Any, *loc: str | int) -> str:
    """The message of the only fault of a 422, which is at `loc`."""
    body = problem(response, 422, "invalid")
    assert [row["loc"] for row in body["errors"]] == [list(loc)], body["errors"]
    message: str = body["errors"][0]["msg"]
    return message


def same_404(*responses: Any) -> dict[str, Any]:
    """The one body of them all, but for its request id."""
    bodies = [problem(response, 404, response.json()["code"]) for response in responses]
    for body in bodies:
        body.pop("request_id")
    assert all(body == bodies[0] for body in bodies), bodies
    return bodies[0]


def ids_of(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["data"]]


def path_of(url: str) -> str:
    """The part of an absolute URL of this server that the test client asks for."""
    assert url.startswith("http://testserver/"), url
    return url.removeprefix("http://testserver")


async def streamed(token: str, path: str, body: dict[str, Any] | None = None, **headers: str) -> bytes:
    """The whole body of a stream: by POST where there is a body, else by GET."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream", **headers}
    client = AsyncClient()
    if body is None:
        response = await client.get(path, headers=headers)
    else:
        response = await client.post(path, body, content_type="application/json", headers=headers)
    assert response.status_code == 200, response.content
    assert response["Content-Type"].startswith("text/event-stream")
    return b"".join([part async for part in response.streaming_content])


@pytest.fixture
def thread(api: Api, tenant: Tenant) -> dict[str, Any]:
    return new_thread(api, tenant)


@pytest.fixture
def mallorys(other_tenant: Tenant) -> Api:
    """mallory's key."""
    return Api(other_tenant.key)
