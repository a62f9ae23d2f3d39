"""No route that writes without an event: each is asked once, and must have left one. A new route needs a row here."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.urls import get_resolver
from django.utils import timezone

from tests.api.rest.conftest import new_thread, open_session
from tests.conftest import PASSWORD, Api, Tenant, access_token, make_tenant, make_user
from threadhub.agents.models import Tool
from threadhub.audit.models import AuditEvent
from threadhub.lib import ids
from threadhub.workspaces import sign_in
from threadhub.workspaces.permissions import Role
from threads.models import Message

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
        self.workspace = f"/workspaces/{tenant.workspace.wire_id}"
        self.user = make_user("una", tenant.workspace, Role.MEMBER)

    def thread(self) -> str:
        made: str = new_thread(self.api, self.tenant)["id"]
        return made

    def tool(self) -> str:
        body = {"name": f"t{timezone.now():%f}", "kind": "http", "config": {"url": "https://example.org/"}}
        made: str = self.api.post("/tools", body).json()["id"]
        return made

    def conversation(self, api: Api | None = None, path: str = "") -> tuple[str, str, str]:
        """A thread's path, and the ids of a question in it and of its answer."""
        path = path or f"/threads/{self.thread()}"
        made = (api or self.api).post(f"{path}/invoke", {"prompt": "Hello!"}).json()
        question = Message.objects.filter(thread_id=ids.decode("thread", path.rpartition("/")[2])).earliest("position")
        return path, question.wire_id, made["message_id"]

    def branched(self, api: Api | None = None, path: str = "") -> str:
        path, _, answer = self.conversation(api, path)
        assert (api or self.api).post(f"{path}/messages/{answer}/regenerate").status_code == 200
        return f"{path}/branches/1/activate"

    def waiting(self, path: str, api: Api | None = None, tool: str = "open_door") -> tuple[str, dict[str, Any]]:
        """The path of a run that waits, and what for."""
        body: dict[str, Any] = {"prompt": f"/tool {tool} {{}}"}
        if tool == "open_door":
            body["client_tools"] = [{"name": tool, "description": "", "parameters": {"type": "object"}}]
        data = (api or self.api).post(f"{path}/invoke", body).json()["data"]
        return f"{path}/runs/{data['run_id']}", data["required_action"]

    def outputs(self, path: str, api: Api | None = None) -> Any:
        run, wanted = self.waiting(path, api)
        outputs = [{"tool_call_id": call["id"], "output": "open"} for call in wanted["tool_calls"]]
        return (api or self.api).post(f"{run}/tool_outputs", {"tool_outputs": outputs})

    def cancelled(self, path: str, api: Api | None = None) -> Any:
        return (api or self.api).post(f"{self.waiting(path, api)[0]}/cancel")

    def approval(self, verdict: str) -> Any:
        Tool.objects.filter(name="current_time").update(approval=Tool.Approval.ALWAYS)
        _, wanted = self.waiting(f"/threads/{self.thread()}", tool="current_time")
        return self.api.post(f"/approvals/{wanted['approvals'][0]['id']}/{verdict}")

    def feedback(self, verb: str, api: Api | None = None, path: str = "") -> Any:
        api = api or self.api
        path, _, answer = self.conversation(api, path)
        path = f"{path}/messages/{answer}/feedback"
        given = api.put(path, {"rating": 1}, content_type=JSON)
        return given if verb == "PUT" else api.delete(path)

    def asked_again(self, verb: str, api: Api | None = None, path: str = "") -> Any:
        path, question, answer = self.conversation(api, path)
        message, body = (question, {"prompt": "Other."}) if verb == "edit" else (answer, {})
        return (api or self.api).post(f"{path}/messages/{message}/{verb}", body)

    def visit(self) -> tuple[Api, str]:
        """A visitor, and the path of their thread."""
        session = open_session(self.api, self.tenant)
        visitor = Api(session["chat_token"])
        path = f"/chat_sessions/{session['id']}/threads"
        made = visitor.post(path).json()
        return visitor, f"{path}/{made['id']}"

    def refreshed(self) -> Any:
        session = open_session(self.api, self.tenant)
        return Api().post(f"/chat_sessions/{session['id']}/refresh", {"refresh_token": session["refresh_token"]})

    def claimed(self) -> Any:
        session = open_session(self.api, self.tenant)
        body = {"chat_token": session["chat_token"], "user_id": self.user.wire_id}
        return self.api.post(f"/chat_sessions/{session['id']}/claim", body)

    def key(self) -> str:
        made: str = self.api.post("/api_keys", {"name": "k", "scopes": ["read"]}).json()["id"]
        return f"/api_keys/{made}"

    def invited(self, user: str = "una") -> dict[str, Any]:
        body: dict[str, Any] = self.api.post(f"{self.workspace}/members", {"user": user, "role": "viewer"}).json()
        return body

    def joined(self) -> Any:
        stranger = make_user(f"u{timezone.now():%f}", make_tenant(f"of {timezone.now():%f}").workspace, Role.OWNER)
        token = self.invited(stranger.username)["token"]
        return Api(access_token(stranger)).post("/invitations/accept", {"token": token})

    def signed_up(self) -> Any:
        name = f"n{timezone.now():%f}"
        body = {"username": name, "password": PASSWORD, "invitation": self.invited(name)["token"]}
        return Api().post("/api/signup", body)

    def member(self) -> str:
        return (
            f"{self.workspace}/members/{make_user(f'm{timezone.now():%f}', self.tenant.workspace, Role.MEMBER).wire_id}"
        )

    def policy(self) -> str:
        body = {"action": "retain", "days": 30, "scope": "thread", "target_id": self.thread()}
        return f"/retention_policies/{self.api.post('/retention_policies', body).json()['id']}"

    def enabled(self) -> Any:
        policy = self.policy()
        self.api.post(f"{policy}/preview")
        return self.api.post(f"{policy}/enable")

    def hold(self) -> Any:
        body = {"scope": "thread", "target_id": self.thread(), "reason": "A lawsuit."}
        return self.api.post("/holds", body)

    def unarchived(self) -> Any:
        path = f"/threads/{self.thread()}"
        self.api.post(f"{path}/archive")
        return self.api.post(f"{path}/unarchive")

    def message_deleted(self) -> Any:
        path, _, answer = self.conversation()
        return self.api.delete(f"{path}/messages/{answer}")

    def own_key(self) -> Any:
        body = {"nickname": "mine", "expiresAt": "2099-01-01"}
        return self.person().post("/api/me/api-tokens", body)

    def chatted(self, path: str, **body: Any) -> Any:
        return self.api.post(path, {"messages": [{"role": "user", "content": "Hello!"}], **body})

    def session(self) -> str:
        opened: str = open_session(self.api, self.tenant)["id"]
        return opened

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
            "POST agents/{}/versions/{}/restore": lambda: api.post(f"/agents/{agent}/versions/1/restore"),
            "POST agents/{}/public_key": lambda: api.post(f"/agents/{agent}/public_key"),
            "DELETE agents/{}/public_key": lambda: api.delete(f"/agents/{agent}/public_key"),
            "POST agents/{}/identity_secret": lambda: api.post(f"/agents/{agent}/identity_secret"),
            "DELETE agents/{}/identity_secret": lambda: api.delete(f"/agents/{agent}/identity_secret"),
            "POST agents/{}/threads": lambda: api.post(f"/agents/{agent}/threads", {}),
            "PUT agents/{}/threads/by-ref/{}": lambda: api.put(f"/agents/{agent}/threads/by-ref/new"),
            "POST chat_sessions": lambda: api.post("/chat_sessions", {"agent_id": agent, "external_ref": "visitor"}),
            "POST chat_sessions/revoke": lambda: api.post("/chat_sessions/revoke", {"agent_id": agent}),
            "DELETE chat_sessions/{}": lambda: api.delete(f"/chat_sessions/{self.session()}"),
            "POST chat_sessions/{}/threads": lambda: api.post(f"/chat_sessions/{self.session()}/threads"),
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
            "DELETE threads/{}/messages/{}": self.message_deleted,
            "POST agents/{}/invoke": lambda: api.post(f"/agents/{agent}/invoke", {"prompt": "Hello!"}),
            "POST agents/{}/threads/{}/invoke": lambda: api.post(
                f"/agents/{agent}/threads/{self.thread()}/invoke", {"prompt": "Hello!"}
            ),
            "POST threads/{}/archive": lambda: api.post(f"/threads/{self.thread()}/archive"),
            "POST threads/{}/unarchive": self.unarchived,
            "PUT budget": lambda: Api(access_token(self.tenant.owner)).put(
                "/budget", {"day": {"tokens": 10**9}}, content_type=JSON
            ),
            "PUT agents/{}/budget": lambda: api.put(
                f"/agents/{agent}/budget", {"day": {"tokens": 10**9}}, content_type=JSON
            ),
            "POST approvals/{}/approve": lambda: self.approval("approve"),
            "POST approvals/{}/refuse": lambda: self.approval("refuse"),
            "POST api/ai/agents/{}/chat": lambda: self.chatted(f"/api/ai/agents/{agent}/chat"),
            "POST api/ai/{}/chat-completion": lambda: self.chatted(f"/api/ai/{agent}/chat-completion"),
            "POST api/ai/{}/chat-completion/{}": lambda: self.chatted(
                f"/api/ai/{agent}/chat-completion/{self.thread()}"
            ),
            "POST api/signup": self.signed_up,
            "POST api/me/api-tokens": self.own_key,
            "DELETE api/me/api-tokens/{}": lambda: self.person().delete(
                f"/api/me/api-tokens/{self.own_key().json()['apiToken']['_id']}"
            ),
            "POST chat_sessions/{}/refresh": self.refreshed,
            "POST chat_sessions/{}/claim": self.claimed,
            "PATCH workspaces/{}": lambda: api.patch(self.workspace, {"external_ref_policy": "allow"}),
            "POST workspaces/{}/members": lambda: api.post(f"{self.workspace}/members", {"user": "nobody"}),
            "PATCH workspaces/{}/members/{}": lambda: api.patch(self.member(), {"role": "viewer"}),
            "DELETE workspaces/{}/members/{}": lambda: api.delete(self.member()),
            "DELETE workspaces/{}/invitations/{}": lambda: api.delete(
                f"{self.workspace}/invitations/{self.invited()['id']}"
            ),
            "POST invitations/accept": self.joined,
            "POST api_keys": lambda: api.post("/api_keys", {"name": "k", "scopes": ["read"]}),
            "PATCH api_keys/{}": lambda: api.patch(self.key(), {"name": "other"}),
            "DELETE api_keys/{}": lambda: api.delete(self.key()),
            "POST api_keys/{}/rotate": lambda: api.post(f"{self.key()}/rotate", {}),
            "PATCH retention_settings": lambda: api.patch("/retention_settings", {"trash_days": 7}),
            "POST retention_policies": lambda: api.post("/retention_policies", {"action": "retain", "days": 30}),
            "PATCH retention_policies/{}": lambda: api.patch(self.policy(), {"days": 31}),
            "DELETE retention_policies/{}": lambda: api.delete(self.policy()),
            "POST retention_policies/{}/preview": lambda: api.post(f"{self.policy()}/preview"),
            "POST retention_policies/{}/enable": self.enabled,
            "POST retention_policies/{}/disable": lambda: api.post(
                f"/retention_policies/{self.enabled().json()['id']}/disable"
            ),
            "POST holds": self.hold,
            "POST exports": lambda: api.post("/exports", {"format": "csv"}),
            "POST erasures": self.erasure,
            "POST erasures/{}/confirm": self.confirmed_erasure,
            "POST holds/{}/release": lambda: api.post(f"/holds/{self.hold().json()['id']}/release"),
            **self.under_thread("threads/{}", lambda: (api, f"/threads/{self.thread()}")),
            **self.under_thread("chat_sessions/{}/threads/{}", self.visit),
            "DELETE chat_sessions/{}/threads/{}": lambda: asked(self.visit(), "delete"),
            "DELETE agents/{}": lambda: api.delete(f"/agents/{agent}"),  # the last: it disables the agent
        }

    def erasure(self) -> Any:
        self.api.post(f"/agents/{self.agent}/threads", {"external_ref": "gone"})
        owner = Api(access_token(self.tenant.owner))
        return owner.post("/erasures", {"subject": "external_ref", "value": "gone"})

    def confirmed_erasure(self) -> Any:
        planned = self.erasure().json()
        owner = Api(access_token(self.tenant.owner))
        return owner.post(f"/erasures/{planned['id']}/confirm", {"code": planned["code"]})

    def under_thread(self, at: str, begin: Callable[[], tuple[Api, str]]) -> dict[str, Ask]:
        """What every path of a thread has below it, asked by whoever `begin` gives on the thread that it gives."""

        def on(ask: Callable[[Api, str], Any]) -> Ask:
            return lambda: ask(*begin())

        return {
            f"POST {at}/invoke": on(lambda api, path: api.post(f"{path}/invoke", {"prompt": "Hello!"})),
            f"POST {at}/copy": on(lambda api, path: api.post(f"{self.conversation(api, path)[0]}/copy")),
            f"POST {at}/branches/{{}}/activate": on(lambda api, path: api.post(self.branched(api, path))),
            f"POST {at}/messages/{{}}/edit": on(lambda api, path: self.asked_again("edit", api, path)),
            f"POST {at}/messages/{{}}/regenerate": on(lambda api, path: self.asked_again("regenerate", api, path)),
            f"PUT {at}/messages/{{}}/feedback": on(lambda api, path: self.feedback("PUT", api, path)),
            f"DELETE {at}/messages/{{}}/feedback": on(lambda api, path: self.feedback("DELETE", api, path)),
            f"POST {at}/runs/{{}}/cancel": on(lambda api, path: self.cancelled(path, api)),
            f"POST {at}/runs/{{}}/tool_outputs": on(lambda api, path: self.outputs(path, api)),
        }


def asked(at: tuple[Api, str], verb: str) -> Any:
    api, path = at
    return getattr(api, verb)(path)


@pytest.fixture
def asks(api: Api, tenant: Tenant, worker: None) -> Asks:
    return Asks(api, tenant)


def test_every_request_leaves_an_event(asks: Asks, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert sorted(without) == [], without


def test_every_route_that_writes_has_a_row(api: Api, tenant: Tenant) -> None:
    assert everything_written() ^ Asks(api, tenant).rows().keys() == set()
