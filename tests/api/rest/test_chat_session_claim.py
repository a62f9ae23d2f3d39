"""`POST /chat_sessions/{id}/claim`: a visitor signs in, and their threads become theirs."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from tests.api.rest.conftest import fault, ids_of, new_thread, open_session, problem, same_404
from tests.api.rest.test_chat_session_visits import let_in, visited
from tests.conftest import Api, Tenant, access_token
from threadhub.workspaces.models import User
from threads.models import Thread

PAGE = "https://shop.example.org"


@pytest.fixture
def session(api: Api, tenant: Tenant) -> dict[str, Any]:
    """An anonymous visitor's."""
    return visited(let_in(api, tenant.agent, PAGE))


def claim(client: Api, session: dict[str, Any], **body: Any) -> Any:
    return client.post(f"/chat_sessions/{session['id']}/claim", {"chat_token": session["chat_token"], **body})


def test_the_threads_become_the_users(
    session: dict[str, Any], api: Api, tenant: Tenant, as_user: Any, alice: User
) -> None:
    visitor = Api(session["chat_token"])
    second = visitor.post(f"/chat_sessions/{session['id']}/threads").json()
    stranger = new_thread(api, tenant, external_ref="other")
    client = as_user(alice)
    assert client.get("/threads").json()["data"] == []
    response = claim(client, session)
    assert response.status_code == 200, response.content
    body = response.json()
    assert list(body) == ["id", "user_id", "claimed_at", "threads"]
    assert (body["id"], body["user_id"], body["threads"]) == (session["id"], alice.wire_id, 2)
    mine = [second["id"], session["thread_id"]]
    assert ids_of(client.get("/threads")) == mine
    assert ids_of(api.get(f"/threads?userId={alice.wire_id}")) == mine
    assert stranger["id"] not in mine
    in_ai = client.get("/api/ai/threads").json()
    assert session["thread_id"] in str(in_ai)
    assert second["id"] in str(in_ai)


def test_the_visitor_goes_on_as_the_user(session: dict[str, Any], as_user: Any, alice: User) -> None:
    claim(as_user(alice), session)
    visitor = Api(session["chat_token"])
    later = visitor.post(f"/chat_sessions/{session['id']}/threads").json()
    assert later["user_id"] == alice.wire_id
    assert len(visitor.get(f"/chat_sessions/{session['id']}/threads").json()) == 2


def test_it_is_done_once(session: dict[str, Any], as_user: Any, alice: User, api: Api, tenant: Tenant) -> None:
    assert claim(as_user(alice), session).status_code == 200
    problem(claim(as_user(alice), session), 409, "chat_session_claimed")
    problem(claim(as_user(tenant.owner), session), 409, "chat_session_claimed")
    problem(claim(api, session, user_id=tenant.owner.wire_id), 409, "chat_session_claimed")
    assert Thread.objects.get().user_id == alice.pk


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_claims(session: dict[str, Any], alice: User, victor: User, tenant: Tenant) -> None:
    tokens = [access_token(alice), access_token(tenant.owner)] * 2

    def attempt(token: str) -> int:
        try:
            status: int = claim(Api(token), session).status_code
            return status
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(attempt, tokens)) == [200, 409, 409, 409]


def test_a_server_claims_for_its_user(api: Api, tenant: Tenant, alice: User, mallory: User) -> None:
    session = open_session(api, tenant, "known")
    assert "which user" in fault(claim(api, session), "body", "user_id")
    assert "no such user" in fault(claim(api, session, user_id=mallory.wire_id), "body", "user_id")
    assert "no such user" in fault(claim(api, session, user_id="user_1"), "body", "user_id")
    assert claim(api, session, user_id=alice.wire_id).json()["threads"] == 1


def test_a_known_visitors_session_is_not_for_users_to_claim(
    api: Api, tenant: Tenant, as_user: Any, alice: User
) -> None:
    session = open_session(api, tenant, "known")
    problem(claim(as_user(alice), session), 409, "chat_session_not_anonymous")
    assert Thread.objects.get().user_id is None


def test_nobody_claims_without_both_proofs(
    session: dict[str, Any], api: Api, tenant: Tenant, as_user: Any, alice: User, victor: User, mallory: User
) -> None:
    other = visited(let_in(api, tenant.agent, PAGE))
    client = as_user(alice)
    problem(claim(Api(), session), 401, "unauthenticated")
    problem(claim(Api(session["chat_token"]), session), 403, "permission_missing")
    problem(claim(as_user(victor), session), 403, "permission_missing")
    for token in ("x", session["refresh_token"], access_token(alice), session["chat_token"][:-3] + "AAA"):
        problem(claim(client, session, chat_token=token), 401, "invalid_chat_token")
    same_404(claim(client, session, chat_token=other["chat_token"]), claim(as_user(mallory), session))
    assert "somebody else" in fault(claim(client, session, user_id=victor.wire_id), "body", "user_id")
    api.delete(f"/chat_sessions/{session['id']}")
    problem(claim(client, session), 401, "invalid_chat_token")
    assert set(Thread.objects.values_list("user_id", flat=True)) == {None}
