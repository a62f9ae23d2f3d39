"""`POST /chat_sessions` by a web page with an agent's public key, and what its page may do across origins."""

import hashlib
import hmac
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chat_sessions.models import ChatSession
from tests.api.rest.conftest import fault, open_session, problem
from tests.conftest import Api, Tenant
from threadhub.agents.models import Agent

PAGE = "https://shop.example.org"
ALLOW = "Access-Control-Allow-Origin"


@pytest.fixture
def key(api: Api, tenant: Tenant) -> str:
    """The public key of an agent that lets in one page."""
    return let_in(api, tenant.agent, PAGE)


def let_in(api: Api, agent: Agent, *origins: str) -> str:
    path = f"/agents/{agent.wire_id}"
    assert api.patch(path, {"allowed_origins": list(origins)}, content_type="application/json").status_code == 200
    public_key: str = api.post(f"{path}/public_key").json()["public_key"]
    return public_key


def visit(key: str, origin: str | None = PAGE, **body: Any) -> Any:
    headers = {"Origin": origin} if origin is not None else None
    return Api().post("/chat_sessions", {"agent_key": key, **body}, headers=headers)


def visited(key: str, **body: Any) -> dict[str, Any]:
    response = visit(key, **body)
    assert response.status_code == 200, response.content
    session: dict[str, Any] = response.json()
    return session


def preflight(path: str, origin: str = PAGE, method: str = "POST") -> Any:
    return Api().options(path, headers={"Origin": origin, "Access-Control-Request-Method": method})


def proof(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def identity_secret(api: Api, tenant: Tenant) -> str:
    response = api.post(f"/agents/{tenant.agent.wire_id}/identity_secret")
    assert response["Cache-Control"] == "no-store"
    secret: str = response.json()["identity_secret"]
    return secret


class TestAnonymous:
    def test_it_is_given_a_reference_that_nobody_can_guess(self, key: str, tenant: Tenant) -> None:
        one, other = visited(key, name="Ada", metadata={"page": "/shoes"}), visited(key)
        assert one["agent_id"] == tenant.agent.wire_id
        assert one["anonymous"] is True
        for session in (one, other):
            assert session["external_ref"].startswith("visitor_")
            assert len(session["external_ref"]) >= 40
        assert one["external_ref"] != other["external_ref"]
        read = Api(one["chat_token"]).get(f"/chat_sessions/{one['id']}").json()
        assert (read["name"], read["metadata"], read["thread_id"]) == ("Ada", {"page": "/shoes"}, one["thread_id"])

    def test_a_reference_without_proof_is_refused(self, key: str, api: Api, tenant: Tenant) -> None:
        open_session(api, tenant, "visitor")
        problem(visit(key, external_ref="visitor"), 401, "identity_required")
        problem(visit(key, external_ref="visitor", identity_proof="0" * 64), 401, "invalid_identity_proof")
        problem(visit(key, identity_proof="0" * 64), 401, "invalid_identity_proof")
        assert ChatSession.objects.count() == 1

    @pytest.mark.parametrize(
        ("body", "loc", "words"),
        [
            ({"system_prompt_variables": {}}, "system_prompt_variables", "Unknown field"),
            ({"allowed_vectors": []}, "allowed_vectors", "Unknown field"),
            ({"agent_id": "agent_1"}, "agent_id", "Unknown field"),
            ({"name": "x" * 201}, "name", "200"),
            ({"metadata": {"x": "y" * 2_100}}, "metadata", "2048"),
            ({"identity_expires_at": "5"}, "identity_expires_at", "integer"),
        ],
    )
    def test_it_says_nothing_that_only_a_server_may(self, key: str, body: Any, loc: str, words: str) -> None:
        assert words in fault(visit(key, **body), "body", loc)

    def test_staff_see_who_opened_it(self, key: str, api: Api) -> None:
        visited(key, name="Ada")
        (listed,) = api.get("/chat_sessions").json()["data"]
        assert (listed["origin"], listed["name"], listed["user_id"], listed["anonymous"]) == (PAGE, "Ada", None, True)


class TestKey:
    @pytest.mark.django_db
    def test_without_any_it_is_not_authenticated(self) -> None:
        problem(Api().post("/chat_sessions", {"external_ref": "x"}, headers={"Origin": PAGE}), 401, "unauthenticated")

    def test_unknown_rotated_and_withdrawn_ones_are_one_and_the_same(self, key: str, api: Api, tenant: Tenant) -> None:
        path = f"/agents/{tenant.agent.wire_id}/public_key"
        present = api.post(path).json()["public_key"]
        assert visit(present).status_code == 200
        assert api.delete(path).status_code == 204
        assert api.get(f"/agents/{tenant.agent.wire_id}").json()["public_key"] is None
        bodies = [problem(visit(text), 401, "invalid_agent_key") for text in ("pk_x", key, present)]
        assert len({body["detail"] for body in bodies}) == 1

    def test_only_who_may_change_the_agent_makes_one(
        self, tenant: Tenant, key: str, as_user: Any, alice: Any, mallorys: Api
    ) -> None:
        visitor = Api(visited(key)["chat_token"])
        for what in ("public_key", "identity_secret"):
            path = f"/agents/{tenant.agent.wire_id}/{what}"
            for method in ("post", "delete"):
                problem(getattr(as_user(alice), method)(path), 403, "permission_missing")
                problem(getattr(visitor, method)(path), 403, "permission_missing")
                problem(getattr(mallorys, method)(path), 404, "agent_not_found")

    def test_a_disabled_agent_takes_nobody(self, key: str, api: Api, tenant: Tenant) -> None:
        api.delete(f"/agents/{tenant.agent.wire_id}")
        assert visit(key).status_code in (403, 409)
        assert ChatSession.objects.count() == 0


class TestOrigin:
    @pytest.mark.parametrize(
        "origin",
        [
            None,
            "",
            "null",
            "https://evil.example",
            "http://shop.example.org",
            "https://shop.example.org:8443",
            "https://shop.example.org.evil.example",
            "https://evil-shop.example.org",
            "https://SHOP.example.org",
            "https://shop.example.org/",
            "*",
        ],
    )
    def test_no_other_page_opens_one(self, key: str, origin: str | None) -> None:
        response = visit(key, origin)
        problem(response, 403, "origin_not_allowed")
        assert ALLOW not in response
        assert ALLOW not in preflight("/chat_sessions", origin or "")

    def test_another_agents_page_is_not_this_ones(self, key: str, mallorys: Api, other_tenant: Tenant) -> None:
        let_in(mallorys, other_tenant.agent, "https://evil.example")
        problem(visit(key, "https://evil.example"), 403, "origin_not_allowed")

    def test_the_answer_names_exactly_this_page(self, key: str) -> None:
        for response in (visit(key), visit("pk_x"), preflight("/chat_sessions")):
            assert response[ALLOW] == PAGE
            assert "origin" in response["Vary"]
            assert "Access-Control-Allow-Credentials" not in response
        headers = preflight("/chat_sessions")["Access-Control-Allow-Headers"]
        assert {"authorization", "content-type", "last-event-id", "idempotency-key"} <= set(headers.split(", "))

    def test_a_session_answers_to_its_page(self, key: str) -> None:
        session = visited(key)
        path, visitor = f"/chat_sessions/{session['id']}", Api(session["chat_token"])
        for url in (path, f"{path}/threads", f"{path}/threads/{session['thread_id']}"):
            assert preflight(url, method="GET")[ALLOW] == PAGE
            response = visitor.get(url, headers={"Origin": PAGE})
            assert (response.status_code, response[ALLOW]) == (200, PAGE)
        refreshed = Api(session["refresh_token"]).post(f"{path}/refresh", headers={"Origin": PAGE})
        assert (refreshed.status_code, refreshed[ALLOW]) == (200, PAGE)

    def test_and_to_no_other(self, key: str, api: Api, tenant: Tenant) -> None:
        session = visited(key)
        path, visitor = f"/chat_sessions/{session['id']}", Api(session["chat_token"])
        for other in ("https://evil.example", "null"):
            assert ALLOW not in preflight(path, other)
            response = visitor.get(path, headers={"Origin": other})
            problem(response, 401, "invalid_chat_token")
            assert ALLOW not in response
            headers = {"Origin": other}
            problem(
                Api(session["refresh_token"]).post(f"{path}/refresh", headers=headers), 401, "invalid_refresh_token"
            )
        assert visitor.get(path).status_code == 200
        by_key = open_session(api, tenant)
        assert ALLOW not in preflight(f"/chat_sessions/{by_key['id']}")
        assert ALLOW not in preflight("/chat_sessions/session_1")

    def test_a_page_that_is_let_in_no_more_is_out_at_the_next_refresh(self, key: str, api: Api, tenant: Tenant) -> None:
        session = visited(key)
        let_in(api, tenant.agent, "https://new.example.org")
        problem(visit(key), 401, "invalid_agent_key")
        path = f"/chat_sessions/{session['id']}/refresh"
        problem(Api(session["refresh_token"]).post(path, headers={"Origin": PAGE}), 401, "invalid_refresh_token")

    def test_the_installations_own_list_is_asked_first_and_elsewhere_alone(
        self, key: str, tenant: Tenant, settings: Any, django_assert_num_queries: Any
    ) -> None:
        settings.CORS_ALLOWED_ORIGINS = ["https://console.example.org"]
        with django_assert_num_queries(0):
            response = preflight("/chat_sessions", "https://console.example.org")
            assert response[ALLOW] == "https://console.example.org"
            assert ALLOW not in preflight("/threads", PAGE)
            assert ALLOW not in preflight(f"/agents/{tenant.agent.wire_id}", PAGE)
        with django_assert_num_queries(1):
            preflight("/chat_sessions", PAGE)

    @pytest.mark.parametrize("origin", ["*", "https://*.example.org", "https://a.example/x", "HTTPS://a.example", ""])
    def test_what_is_no_origin_is_not_taken(self, api: Api, tenant: Tenant, origin: str) -> None:
        path = f"/agents/{tenant.agent.wire_id}"
        response = api.patch(path, {"allowed_origins": [origin]}, content_type="application/json")
        assert response.status_code == 422
        assert response.json()["errors"][0]["loc"][:2] == ["body", "allowed_origins"]


class TestIdentity:
    def test_who_is_proved_finds_their_threads_again(self, key: str, api: Api, tenant: Tenant) -> None:
        secret = identity_secret(api, tenant)
        first = visited(key, external_ref="user 4711 ü", identity_proof=proof(secret, "user 4711 ü"))
        assert (first["external_ref"], first["anonymous"]) == ("user 4711 ü", False)
        again = visited(key, external_ref="user 4711 ü", identity_proof=proof(secret, "user 4711 ü"))
        threads = Api(again["chat_token"]).get(f"/chat_sessions/{again['id']}/threads").json()
        assert [thread["id"] for thread in threads] == [again["thread_id"], first["thread_id"]]

    def test_a_proof_is_of_one_reference_and_agent(
        self, key: str, api: Api, tenant: Tenant, mallorys: Api, other_tenant: Tenant
    ) -> None:
        secret, foreign = identity_secret(api, tenant), identity_secret(mallorys, other_tenant)
        good = proof(secret, "ada")
        assert visit(key, external_ref="ada", identity_proof=good).status_code == 200
        for reference, text in (
            ("eve", good),
            ("ada", good.upper()),
            ("ada", good[:-1]),
            ("ada", ""),
            ("ada ", good),
            ("ada", proof(foreign, "ada")),
            ("ada", "ü" * 64),
        ):
            assert visit(key, external_ref=reference, identity_proof=text).status_code in (401, 422), text

    def test_a_proof_may_expire(self, key: str, api: Api, tenant: Tenant) -> None:
        secret, soon, past = identity_secret(api, tenant), int(time.time()) + 60, int(time.time()) - 1
        body = {"external_ref": "ada", "identity_proof": proof(secret, f"ada\0{soon}")}
        assert visit(key, **body, identity_expires_at=soon).status_code == 200
        problem(visit(key, **body), 401, "invalid_identity_proof")
        problem(visit(key, **body, identity_expires_at=soon + 1), 401, "invalid_identity_proof")
        late = {"external_ref": "ada", "identity_proof": proof(secret, f"ada\0{past}"), "identity_expires_at": past}
        problem(visit(key, **late), 401, "invalid_identity_proof")

    def test_an_agent_may_ask_everybody_for_it(self, key: str, api: Api, tenant: Tenant) -> None:
        path = f"/agents/{tenant.agent.wire_id}"
        secret = identity_secret(api, tenant)
        changed = api.patch(path, {"identity_required": True}, content_type="application/json").json()
        assert (changed["identity_required"], changed["has_identity_secret"]) == (True, True)
        problem(visit(key), 401, "identity_required")
        assert visit(key, external_ref="ada", identity_proof=proof(secret, "ada")).status_code == 200

    def test_the_secret_before_is_taken_for_a_day(self, key: str, api: Api, tenant: Tenant) -> None:
        old, new = identity_secret(api, tenant), identity_secret(api, tenant)
        for secret in (old, new):
            assert visit(key, external_ref="ada", identity_proof=proof(secret, "ada")).status_code == 200
        Agent.objects.update(previous_identity_until=timezone.now() - timedelta(seconds=1))
        problem(visit(key, external_ref="ada", identity_proof=proof(old, "ada")), 401, "invalid_identity_proof")
        assert visit(key, external_ref="ada", identity_proof=proof(new, "ada")).status_code == 200
        api.delete(f"/agents/{tenant.agent.wire_id}/identity_secret")
        problem(visit(key, external_ref="ada", identity_proof=proof(new, "ada")), 401, "invalid_identity_proof")

    def test_the_secret_is_shown_once_and_kept_sealed(self, api: Api, tenant: Tenant) -> None:
        secret = identity_secret(api, tenant)
        assert secret not in str(api.get(f"/agents/{tenant.agent.wire_id}").json())
        agent = Agent.objects.get(pk=tenant.agent.pk)
        assert secret.encode() not in bytes(agent.sealed_identity_secret or b"")
