"""Tools that are services elsewhere: called by a run, within the guard, once."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.conftest import Api, Tenant
from tests.threads.conftest import answer
from threadhub.agents import toolbox
from threadhub.agents.models import Agent, Tool
from threadhub.lib.errors import Invalid
from threads.models import Thread

pytestmark = pytest.mark.django_db(transaction=True)
SCHEMA = {
    "type": "object",
    "properties": {"order_id": {"type": "string"}},
    "required": ["order_id"],
    "additionalProperties": False,
}


class Orders(ThreadingHTTPServer):
    """A shop's service: answers with the order that it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[tuple[dict[str, str], Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/orders"


class Handler(BaseHTTPRequestHandler):
    server: Orders

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
        answer = json.dumps({"order": body["order_id"], "status": "sent"}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the console of the tests."""


@pytest.fixture
def orders() -> Iterator[Orders]:
    with Orders() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def order_status(tenant: Tenant, orders: Orders, settings: Any) -> Tool:
    settings.TOOL_ALLOWED_NETWORKS = "127.0.0.1"
    tool = toolbox.create(
        actor=tenant.actor,
        name="order_status",
        kind=Tool.Kind.HTTP,
        parameters=SCHEMA,
        config={"url": orders.url},
        secret_headers={"x-shop-key": "do not tell"},
    )
    tenant.agent.tools.add(tool, through_defaults={"workspace_id": tenant.workspace.pk})
    return tool


@pytest.mark.usefixtures("order_status")
def test_a_web_service_is_called_with_its_secret_and_the_model_is_told(
    tenant: Tenant, thread: Thread, orders: Orders
) -> None:
    run = answer(tenant, thread, '/tool order_status {"order_id": "4711"}')
    assert run.status == "succeeded"
    result = thread.messages.get(position=3)
    assert result.tool_result == {"order": "4711", "status": "sent"}
    ((headers, body),) = orders.received
    assert body == {"order_id": "4711"}
    assert headers["x-shop-key"] == "do not tell"
    assert headers["idempotency-key"].startswith(run.wire_id)


@pytest.mark.usefixtures("order_status")
def test_arguments_that_do_not_fit_the_schema_are_never_sent(tenant: Tenant, thread: Thread, orders: Orders) -> None:
    answer(tenant, thread, '/tool order_status {"order": 4711}')
    assert "order" in thread.messages.get(position=3).tool_result["error"]
    assert orders.received == []


@pytest.mark.usefixtures("order_status")
def test_a_private_address_is_refused_unless_it_is_allowed(
    tenant: Tenant, thread: Thread, orders: Orders, settings: Any
) -> None:
    settings.TOOL_ALLOWED_NETWORKS = ""
    run = answer(tenant, thread, '/tool order_status {"order_id": "4711"}')
    assert run.status == "succeeded"
    assert "error" in thread.messages.get(position=3).tool_result
    assert orders.received == []


def test_a_secret_is_kept_encrypted_and_shown_nowhere(api: Api, order_status: Tool) -> None:
    stored = Tool.objects.get(pk=order_status.pk)
    assert b"do not tell" not in bytes(stored.sealed_secrets or b"")
    assert b"do not tell" not in api.get(f"/tools/{order_status.wire_id}").content
    assert b"do not tell" not in api.get("/tools").content


def test_tools_are_made_changed_and_removed(api: Api, tenant: Tenant) -> None:
    body = {
        "name": "weather",
        "kind": "http",
        "parameters": SCHEMA,
        "config": {"url": "https://example.org/{order_id}"},
    }
    made = api.post("/tools", body)
    assert made.status_code == 201
    path = made["Location"]
    assert api.get(path).json()["config"] == body["config"]
    assert api.patch(path, {"description": "Rain?"}, content_type="application/json").json()["description"] == "Rain?"
    assert api.post("/tools", body).json()["code"] == "tool_name_taken"
    agent = api.patch(
        f"/agents/{tenant.agent.wire_id}", {"tools": [made.json()["id"]]}, content_type="application/json"
    )
    assert agent.status_code == 200
    assert api.delete(path).status_code == 204
    assert api.get(path).status_code == 404
    assert Agent.objects.get(pk=tenant.agent.pk).tools.count() == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "two words", "kind": "http", "config": {"url": "https://example.org"}},
        {"name": "x", "kind": "builtin"},
        {"name": "x", "kind": "http"},
        {"name": "x", "kind": "http", "config": {"url": "ftp://example.org"}},
        {"name": "x", "kind": "http", "config": {"url": "https://example.org", "secret_headers": {"a": "b"}}},
        {"name": "x", "kind": "http", "config": {"url": "https://example.org", "timeout_seconds": -1}},
        {"name": "x", "kind": "http", "config": {"url": "https://example.org", "timeout_seconds": "soon"}},
        {"name": "x", "kind": "mcp", "config": {"tool": "y"}},
        {"name": "x", "kind": "http", "config": {"url": "https://example.org"}, "parameters": {"type": "array"}},
    ],
)
def test_a_tool_that_could_never_be_called_is_refused(api: Api, tenant: Tenant, fields: dict[str, Any]) -> None:
    answer = api.post("/tools", fields)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"]
    assert not Tool.objects.filter(name=fields["name"]).exists()
    if isinstance(fields.get("config", {}).get("timeout_seconds"), str):
        return
    with pytest.raises(Invalid):
        toolbox.create(actor=tenant.actor, **fields)


def test_tools_of_another_workspace_are_not_there(tenant: Tenant, other_tenant: Tenant, order_status: Tool) -> None:
    foreign = Api(other_tenant.key)
    absent = foreign.get("/tools/tool_01k00000000000000000000000").json()
    answers = [
        foreign.get(f"/tools/{order_status.wire_id}").json(),
        foreign.delete(f"/tools/{order_status.wire_id}").json(),
    ]
    for told in [*answers, absent]:
        told.pop("request_id")
    assert answers == [absent, absent]
    assert Tool.objects.filter(pk=order_status.pk).exists()
