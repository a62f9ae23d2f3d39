"""Every route under a chat session, by whoever has no business there: the same answer each time, and nothing changed.

The routes are those of the URL conf, so a new one is here by itself.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.utils import timezone

from chat_sessions import tokens
from chat_sessions.models import ChatSession
from tests.api.rest.conftest import open_session, problem
from tests.conftest import Api, Tenant
from threadhub.agents import configure
from threadhub.api.rest.urls import urlpatterns
from threadhub.lib import ids
from threads.models import Message, Run, Thread

UNDER = "chat_sessions/<str:chat_session_id>"
# Refresh takes no chat token; a claim takes a user's access token, so a visitor's is 403 there.
OF_THEIR_OWN = {f"{UNDER}/refresh", f"{UNDER}/claim"}


def routes() -> list[tuple[str, str]]:
    """(method, path with placeholders) of everything under a session."""
    found = []
    for pattern in urlpatterns:
        below = getattr(pattern, "url_patterns", None) or [pattern]
        for each in below:
            path = str(pattern.pattern) + (str(each.pattern) if each is not pattern else "")
            if path.startswith(UNDER) and path not in OF_THEIR_OWN:
                found += [(method, path) for method in each.callback.actions if method != "head"]
    return found


def address(path: str, session: dict[str, Any]) -> str:
    """The path of this session, its thread, and things in it that are not there."""
    absent = {"message": "msg", "run": "run", "file": "file"}
    path = path.replace("<str:chat_session_id>", session["id"]).replace("<str:thread_id>", session["thread_id"])
    for name, prefix in absent.items():
        path = path.replace(f"<str:{name}_id>", ids.encode(prefix, ids.new()))
    return f"/{path}"


def signed(session: dict[str, Any], key: str | None = settings.SECRET_KEY, **changed: Any) -> str:
    claims = {"id": session["id"], "aud": tokens.AUDIENCE, "exp": timezone.now() + timedelta(minutes=5), **changed}
    return jwt.encode(claims, key, algorithm="HS256" if key else "none")


def expire(session: dict[str, Any]) -> str:
    past = timezone.now() - timedelta(seconds=1)
    ChatSession.objects.filter(pk=ids.decode("session", session["id"])).update(idle_expires_at=past)
    return str(session["chat_token"])


def end(session: dict[str, Any]) -> str:
    ChatSession.objects.filter(pk=ids.decode("session", session["id"])).update(ended_at=timezone.now())
    return str(session["chat_token"])


DEAD: dict[str, Callable[[dict[str, Any]], str]] = {
    "expired session": expire,
    "ended session": end,
    "expired token": lambda session: signed(session, exp=timezone.now() - timedelta(seconds=1)),
    "tampered": lambda session: session["chat_token"][:-4] + "AAAA",
    "signed by another": lambda session: signed(session, "another key, thirty-two bytes and more"),
    "wrong audience": lambda session: signed(session, aud="threadhub:access"),
    "alg none": lambda session: signed(session, None),
}


def good_body(path: str) -> bytes:
    """What the route takes; bodies are read before the session is looked for."""
    if path.endswith("/invoke"):
        return b'{"prompt": "x"}'
    return b'{"rating": 1}' if path.endswith("/feedback") else b"{}"


def counts() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Thread, Message, Run, ChatSession))


def test_the_routes_are_those_of_the_conf() -> None:
    assert len(routes()) >= 16
    assert ("post", f"{UNDER}/threads/<str:thread_id>/invoke") in routes()


@pytest.mark.parametrize("who", DEAD)
def test_a_dead_token_opens_nothing(api: Api, tenant: Tenant, who: str) -> None:
    session = open_session(api, tenant)
    assert Api(signed(session)).get(f"/chat_sessions/{session['id']}").status_code == 200
    client, before, details = Api(DEAD[who](session)), counts(), set()
    for method, path in routes():
        answer = client.generic(method.upper(), address(path, session), b'{"prompt": "x"}')
        details.add(problem(answer, 401, "invalid_chat_token")["detail"])
    assert len(details) == 1
    assert counts() == before


@pytest.mark.parametrize(
    "who", ["another visitor", "the same visitor's other session", "another agent's visitor", "a foreign key"]
)
def test_what_is_not_theirs_was_never_there(
    api: Api, tenant: Tenant, mallorys: Api, other_tenant: Tenant, who: str
) -> None:
    session = open_session(api, tenant)
    second = configure.create(actor=tenant.actor, name="Second", provider="echo")
    elsewhere = Tenant(tenant.workspace, tenant.owner, second, tenant.key)
    credentials = {
        "another visitor": lambda: open_session(api, tenant, "other")["chat_token"],
        "the same visitor's other session": lambda: open_session(api, tenant)["chat_token"],
        "another agent's visitor": lambda: open_session(api, elsewhere)["chat_token"],
        "a foreign key": lambda: other_tenant.key,
    }
    client, before = Api(credentials[who]()), counts()
    absent = {**session, "id": ids.encode("session", ids.new())}
    bodies = set()
    for method, path in routes():
        for asked in (session, absent):
            answer = client.generic(method.upper(), address(path, asked), good_body(path))
            body = answer.json()
            bodies.add((answer.status_code, body["code"], body["detail"]))
    assert bodies == {(404, "chat_session_not_found", "Chat session not found.")}
    assert counts() == before
    assert not ChatSession.objects.filter(ended_at__isnull=False).exists()


def test_a_visitor_reaches_nothing_of_staff(api: Api, tenant: Tenant) -> None:
    session = open_session(api, tenant)
    visitor = Api(session["chat_token"])
    problem(visitor.post(f"/chat_sessions/{session['id']}/claim", {"chat_token": "x"}), 403, "permission_missing")
    problem(visitor.get("/chat_sessions"), 403, "permission_missing")
    problem(visitor.post("/chat_sessions/revoke", {"external_ref": "visitor"}), 403, "permission_missing")
