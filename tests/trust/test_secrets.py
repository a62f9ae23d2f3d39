"""Secrets in use: no log, event, kept answer, dump, page or error has one; only the answer that shows it does."""

import io
import logging
import re
from typing import Any

import pytest
from django.core.management import call_command

from tests.api.rest.conftest import open_session
from tests.conftest import PASSWORD, Api, Tenant, make_user
from tests.console.conftest import signed_in
from threadhub.agents.models import Agent, Tool
from threadhub.api.models import IdempotencyRecord
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.models import ApiKey, User
from threadhub.workspaces.permissions import Role

TOOL_SECRET = "Bearer sesame-open-4711-and-closed"
SECRET_FIELD = re.compile(
    r'"(?:key|secret|token|identity_secret|access_token|refresh_token|chat_token|accessToken|refreshToken)":"([^"]{20,})"'
)


class Secrets:
    """What was shown, and everything said besides."""

    def __init__(self) -> None:
        self.shown: set[str] = {PASSWORD, TOOL_SECRET}
        self.said: list[str] = []

    def show(self, response: Any) -> dict[str, Any]:
        """An answer that shows a secret."""
        assert response.status_code < 300, response.content
        found = set(SECRET_FIELD.findall(response.content.decode().replace('": "', '":"')))
        assert found, response.content
        self.shown |= found
        shown: dict[str, Any] = response.json()
        return shown

    def say(self, response: Any) -> None:
        """An answer that shows none."""
        self.said.append(f"{response.headers} {response.content.decode()}")


@pytest.fixture
def used(tenant: Tenant, api: Api, caplog: pytest.LogCaptureFixture) -> Secrets:
    """One of each kind of secret, made, used, and sent where it is wrong."""
    caplog.set_level(logging.DEBUG)
    secrets, agent = Secrets(), tenant.agent.wire_id
    secrets.shown.add(tenant.key)
    make_user("una", tenant.workspace, Role.MEMBER)

    def once(path: str, body: dict[str, Any] | None = None) -> Any:
        return api.post(path, body, headers={"Idempotency-Key": f"once {path}"})

    secrets.show(once("/api_keys", {"name": "k", "scopes": ["read"]}))
    secrets.show(once(f"/agents/{agent}/identity_secret"))
    secrets.show(once(f"/workspaces/{tenant.workspace.wire_id}/members", {"user": "new", "role": "viewer"}))
    config = {"url": "https://a.example.org/", "secrets": {"Authorization": TOOL_SECRET}}
    made = once("/tools", {"name": "guarded", "kind": "http", **_tool(config)})
    assert made.status_code == 201, made.content
    secrets.say(made)
    session = open_session(api, tenant)
    secrets.shown |= {session["chat_token"], session["refresh_token"]}
    refresh = f"/chat_sessions/{session['id']}/refresh"
    secrets.show(Api().post(refresh, {"refresh_token": session["refresh_token"]}))
    signed = Api().post("/api/signin", {"username": "una", "password": PASSWORD})
    assert signed.status_code == 200
    secrets.shown |= {cookie.value for cookie in signed.cookies.values()}
    signed.cookies.clear()  # they are how a sign-in shows its tokens
    secrets.say(signed)
    secrets.say(Api().post("/api/signin", {"username": "una", "password": f"{PASSWORD}x"}))
    secrets.say(Api().post("/api/signin", {"username": PASSWORD, "unknown": PASSWORD}))
    for secret in list(secrets.shown - {PASSWORD, TOOL_SECRET}):
        secrets.say(Api(secret).get("/threads"))
        secrets.say(Api(secret).post("/threads/nothing/invoke", {"prompt": 1}))
        secrets.say(Api(f"{secret[:-2]}xx").get("/agents"))
        secrets.say(Api().post("/invitations/accept", {"token": secret}))
        secrets.say(Api().post(refresh, {"refresh_token": secret, "more": 1}))
    return secrets


def _tool(config: dict[str, Any]) -> dict[str, Any]:
    """The body's part that says where the tool is, and its secret headers."""
    headers = config.pop("secrets")
    return {"config": config, "secret_headers": headers}


def test_a_secret_is_nowhere_but_in_the_answer_that_shows_it(
    used: Secrets, tenant: Tenant, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    root = signed_in(User.objects.create_superuser("root", password=PASSWORD))
    nouns: dict[str, Any] = {"agents/agent": Agent, "agents/tool": Tool, "workspaces/apikey": ApiKey}
    for noun, things in nouns.items():
        used.say(root.get(f"/admin/{noun}/"))
        for thing in things.objects.all():
            used.say(root.get(f"/admin/{noun}/{thing.wire_id}/change/"))
    for path in ("/api_keys", "/tools", "/agents", "/chat_sessions", "/audit_events"):
        used.say(api.get(path))
    dump = io.StringIO()
    call_command("dumpdata", stdout=dump)
    records = list(IdempotencyRecord.objects.values())
    assert len(records) == 4
    places = {
        "the log": caplog.text,
        "the audit trail": repr(list(AuditEvent.objects.values())),
        "an idempotency record": repr([{**row, "answer": bytes(row["answer"] or b"")} for row in records]),
        "a dump": dump.getvalue(),
        "an answer": "\n".join(used.said),
    }
    assert "request_started" in places["the log"]
    assert len(used.shown) >= 11
    told = [f"{secret[:12]}… in {place}" for place, text in places.items() for secret in used.shown if secret in text]
    assert not told
