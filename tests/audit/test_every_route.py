"""No route that writes without an event: each is asked once, and must have left one. A new route needs a row here."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.urls import get_resolver
from django.utils import timezone

from tests.api.rest.conftest import new_thread, open_session
from tests.conftest import PASSWORD, Api, Tenant, make_user
from threadhub.audit.models import AuditEvent
from threadhub.workspaces import sign_in
from threadhub.workspaces.permissions import Role
from threads.actions.messages import Draft, append
from threads.models import Thread

# These take more than one request to get to, or wait for a run. Each ends in a domain function that was read to record.
ELSEWHERE = {
    "PUT threads/{}/messages/{}/feedback",
    "DELETE threads/{}/messages/{}/feedback",
    "POST threads/{}/messages/{}/edit",
    "POST threads/{}/messages/{}/regenerate",
    "POST threads/{}/branches/{}/activate",
    "POST threads/{}/copy",
    "POST threads/{}/runs/{}/cancel",
    "PUT chat_sessions/{}/threads/{}/messages/{}/feedback",
    "DELETE chat_sessions/{}/threads/{}/messages/{}/feedback",
    "POST chat_sessions/{}/threads/{}/messages/{}/edit",
    "POST chat_sessions/{}/threads/{}/messages/{}/regenerate",
    "POST chat_sessions/{}/threads/{}/branches/{}/activate",
    "POST chat_sessions/{}/threads/{}/copy",
    "POST chat_sessions/{}/threads/{}/runs/{}/cancel",
    "DELETE chat_sessions/{}/threads/{}",
    "POST chat_sessions/{}/refresh",
    "DELETE threads/{}/messages/{}",
    "PUT budget",
    "PUT agents/{}/budget",
    "POST api/me/api-tokens",
    "DELETE api/me/api-tokens/{}",
    "POST api/signup",
    "POST threads/{}/invoke",
    "POST agents/{}/invoke",
    "POST agents/{}/threads/{}/invoke",
    "POST chat_sessions/{}/threads/{}/invoke",
    "POST api/ai/agents/{}/chat",
    "POST api/ai/{}/chat-completion",
    "POST api/ai/{}/chat-completion/{}",
    "POST approvals/{}/approve",
    "POST approvals/{}/refuse",
    "POST chat_sessions/{}/claim",
    "POST chat_sessions/{}/threads/{}/runs/{}/tool_outputs",
    "POST threads/{}/runs/{}/tool_outputs",
}
JSON = "application/json"
Ask = Callable[[], Any]


def written(patterns: Any, prefix: str = "") -> Iterator[str]:
    """`METHOD path` of every route of the API that writes; those under /api/v1 are the same views again."""
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from written(pattern.url_patterns, path)
            continue
        actions = getattr(pattern.callback, "actions", None) or getattr(
            getattr(pattern.callback, "__wrapped__", None), "actions", {}
        )
        for method in set(actions or {}) - {"get", "head", "options"}:
            yield f"{method.upper()} {spelled(path)}"


def spelled(path: str) -> str:
    parts = path.split("/")
    return "/".join("{}" if part.startswith("<") else part for part in parts)


def everything_written() -> set[str]:
    return {route for route in written(get_resolver().url_patterns) if " admin" not in route and "api/v1/" not in route}


class Asks:
    """One request for each route, on things made for it."""

    def __init__(self, api: Api, tenant: Tenant) -> None:
        self.api, self.tenant = api, tenant
        self.agent = tenant.agent.wire_id
        self.user = make_user("una", tenant.workspace, Role.MEMBER)

    def thread(self) -> str:
        made: str = new_thread(self.api, self.tenant)["id"]
        return made

    def tool(self) -> str:
        body = {"name": f"t{timezone.now():%f}", "kind": "http", "config": {"url": "https://example.org/"}}
        made: str = self.api.post("/tools", body).json()["id"]
        return made

    def answer(self, thread_id: str) -> str:
        thread = Thread.objects.get(pk=Thread.objects.latest("created_at").pk)
        (message,) = append(actor=self.tenant.actor, thread=thread, drafts=[Draft(role="assistant", content="Yes.")])
        assert thread.wire_id == thread_id
        return message.wire_id

    def session(self) -> tuple[str, str]:
        session = open_session(self.api, self.tenant)
        return session["id"], session["threads"][0]["id"] if "threads" in session else ""

    def signed_in(self) -> Any:
        return sign_in.issue(user=self.user, workspace_id=None, now=timezone.now())

    def person(self) -> Api:
        return Api(self.signed_in().access_token)

    def rows(self) -> dict[str, Ask]:
        api, agent = self.api, self.agent
        message = {"role": "user", "content": "Hello!"}
        return {
            "POST threads/{}/messages": lambda: api.post(f"/threads/{self.thread()}/messages", message),
            "PATCH threads/{}": lambda: api.patch(f"/threads/{self.thread()}", {"title": "New"}, content_type=JSON),
            "DELETE threads/{}": lambda: api.delete(f"/threads/{self.thread()}"),
            "POST agents": lambda: api.post("/agents", {"name": "New", "provider": "echo"}),
            "PATCH agents/{}": lambda: api.patch(f"/agents/{agent}", {"name": "Other"}, content_type=JSON),
            "POST agents/{}/public_key": lambda: api.post(f"/agents/{agent}/public_key"),
            "DELETE agents/{}/public_key": lambda: api.delete(f"/agents/{agent}/public_key"),
            "POST agents/{}/identity_secret": lambda: api.post(f"/agents/{agent}/identity_secret"),
            "DELETE agents/{}/identity_secret": lambda: api.delete(f"/agents/{agent}/identity_secret"),
            "POST agents/{}/threads": lambda: api.post(f"/agents/{agent}/threads", {}),
            "PUT agents/{}/threads/by-ref/{}": lambda: api.put(f"/agents/{agent}/threads/by-ref/new"),
            "POST chat_sessions": lambda: api.post("/chat_sessions", {"agent_id": agent, "external_ref": "visitor"}),
            "POST chat_sessions/revoke": lambda: api.post("/chat_sessions/revoke", {"agent_id": agent}),
            "DELETE chat_sessions/{}": lambda: api.delete(f"/chat_sessions/{self.session()[0]}"),
            "POST chat_sessions/{}/threads": lambda: api.post(f"/chat_sessions/{self.session()[0]}/threads"),
            "POST tools": lambda: api.post(
                "/tools", {"name": "new", "kind": "http", "config": {"url": "https://a.org/"}}
            ),
            "PATCH tools/{}": lambda: api.patch(f"/tools/{self.tool()}", {"description": "New"}, content_type=JSON),
            "DELETE tools/{}": lambda: api.delete(f"/tools/{self.tool()}"),
            "POST api/ai/threads": lambda: api.post("/api/ai/threads", {"integration": agent}),
            "DELETE api/ai/threads/{}": lambda: api.delete(f"/api/ai/threads/{self.thread()}"),
            "POST api/signin": lambda: Api().post("/api/signin", {"username": "una", "password": PASSWORD}),
            "POST api/token/refresh": lambda: Api(self.signed_in().refresh_token).post("/api/token/refresh"),
            "POST api/logout": lambda: self.person().post("/api/logout"),
            "POST api/me": lambda: self.person().post("/api/me", {"firstName": "Una"}),
            "DELETE agents/{}": lambda: api.delete(f"/agents/{agent}"),  # the last: it disables the agent
        }


@pytest.fixture
def asks(api: Api, tenant: Tenant, transactional_db: None) -> Asks:
    return Asks(api, tenant)


def test_every_request_of_these_leaves_an_event(asks: Asks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that prepare a row's request count like it: each request, one id, at least one event."""
    requests: list[str] = []
    generic = Api.generic

    def counted(self: Api, method: str, path: str, *args: Any, **extra: Any) -> Any:
        requests.append(path)
        return generic(self, method, path, *args, **extra)

    monkeypatch.setattr(Api, "generic", counted)
    without = {}
    for route, ask in asks.rows().items():
        known = set(AuditEvent.objects.values_list("request_id", flat=True))
        requests.clear()
        answer = ask()
        left = set(AuditEvent.objects.values_list("request_id", flat=True)) - known - {""}
        if answer.status_code >= 400 or len(left) < len(requests):
            without[route] = (answer.status_code, len(left), requests[:], getattr(answer, "content", b"")[:200])
    assert without == {}


def test_every_route_that_writes_has_a_row(asks: Asks) -> None:
    assert everything_written() - asks.rows().keys() - ELSEWHERE == set()
