"""`/chat_sessions` and `/chat_sessions/{chat_session_id}`, its refresh and its end."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.utils import timezone

from chat_sessions.models import ChatSession
from tests.api.rest.conftest import THREAD_FIELDS, fault, open_session, problem, same_404
from tests.conftest import Api, Tenant
from threadhub.lib import ids
from threadhub.workspaces import keys
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Scope
from threads.models import Thread

OPENED = [
    "id",
    "agent_id",
    "external_ref",
    "thread_id",
    "chat_token",
    "refresh_token",
    "allowed_vectors",
    "system_prompt_variables",
    "enabled_tools",
    "created_at",
    "updated_at",
    "expires_at",
    "idle_expires_at",
    "anonymous",
]


def refresh(session: dict[str, Any], token: str | None, body: dict[str, Any] | None = None) -> Any:
    return Api(token).post(f"/chat_sessions/{session['id']}/refresh", body)


class TestOpen:
    def test_it_answers_tokens_and_a_first_thread(self, api: Api, tenant: Tenant) -> None:
        session = open_session(api, tenant, "v1", allowed_vectors=["a"], system_prompt_variables={"name": "Ada"})
        assert list(session) == OPENED
        assert (session["agent_id"], session["external_ref"]) == (tenant.agent.wire_id, "v1")
        assert (session["allowed_vectors"], session["system_prompt_variables"]) == (["a"], {"name": "Ada"})
        claims = jwt.decode(session["chat_token"], options={"verify_signature": False})
        assert claims["id"] == session["id"]
        thread = api.get(f"/threads/{session['thread_id']}").json()
        assert (thread["external_ref"], thread["user_id"]) == ("v1", None)
        assert (thread["origin"], thread["chat_session_id"]) == ("chat_session", session["id"])

    def test_its_secrets_are_not_for_caches(self, api: Api, tenant: Tenant) -> None:
        response = api.post("/chat_sessions", {"agent_id": tenant.agent.wire_id, "external_ref": "v"})
        assert response["Cache-Control"] == "no-store"
        assert response["Location"] == f"/chat_sessions/{response.json()['id']}"

    @pytest.mark.parametrize(
        ("body", "loc", "words"),
        [
            ({"external_ref": None}, "external_ref", "null"),
            ({"external_ref": ""}, "external_ref", "blank"),
            ({"external_ref": "x" * 513}, "external_ref", "512"),
            ({"agent_id": 5}, "agent_id", "valid string"),
            ({"allowed_vectors": "x"}, "allowed_vectors", "list"),
            ({"system_prompt_variables": []}, "system_prompt_variables", "dictionary"),
            ({"agentId": "x"}, "agentId", "Did you mean 'agent_id'"),
            ({"expires_at": "2999-01-01"}, "expires_at", "Unknown field"),
        ],
    )
    def test_what_is_not_valid_is_named(
        self, api: Api, tenant: Tenant, body: dict[str, Any], loc: str, words: str
    ) -> None:
        valid = {"agent_id": tenant.agent.wire_id, "external_ref": "v"}
        assert words in fault(api.post("/chat_sessions", {**valid, **body}), "body", loc)
        assert (ChatSession.objects.count(), Thread.objects.count()) == (0, 0)

    def test_an_unknown_agent_is_404(self, api: Api, other_tenant: Tenant) -> None:
        same_404(
            *(
                api.post("/chat_sessions", {"agent_id": text, "external_ref": "v"})
                for text in (other_tenant.agent.wire_id, ids.encode("agent", ids.new()), "agent_123")
            )
        )

    def test_members_and_visitors_may_not(self, api: Api, tenant: Tenant, as_user: Any, alice: User) -> None:
        body = {"agent_id": tenant.agent.wire_id, "external_ref": "v"}
        problem(as_user(alice).post("/chat_sessions", body), 403, "permission_missing")
        visitor = Api(open_session(api, tenant)["chat_token"])
        problem(visitor.post("/chat_sessions", body), 403, "permission_missing")


class TestRead:
    def test_key_and_visitor_see_the_same_and_no_secrets(self, api: Api, tenant: Tenant) -> None:
        tenant.agent.instructions = "secret instructions"
        tenant.agent.save()
        session = open_session(api, tenant, system_prompt_variables={"secret": "secret value"})
        path = f"/chat_sessions/{session['id']}"
        read = api.get(path).json()
        assert Api(session["chat_token"]).get(path).json() == read
        assert read["agent"].keys() == {"id", "name", "description", "tools"}
        assert [tool["name"] for tool in read["agent"]["tools"]] == ["current_time"]
        assert list(read["thread"]) == THREAD_FIELDS
        assert read["thread"]["id"] == read["thread_id"] == session["thread_id"]
        assert "secret" not in str(read)
        assert "token" not in str(read)

    def test_its_first_thread_may_be_gone(self, api: Api, tenant: Tenant) -> None:
        session = open_session(api, tenant)
        api.delete(f"/threads/{session['thread_id']}")
        read = api.get(f"/chat_sessions/{session['id']}").json()
        assert (read["thread"], read["thread_id"]) == (None, None)

    def test_a_session_that_one_does_not_see_was_never_there(
        self, api: Api, tenant: Tenant, mallorys: Api, other_tenant: Tenant
    ) -> None:
        mine, other, foreign = (
            open_session(api, tenant),
            open_session(api, tenant),
            open_session(mallorys, other_tenant),
        )
        texts = [foreign["id"], ids.encode("session", ids.new()), "session_123"]
        visitor = Api(mine["chat_token"])
        same_404(
            *(api.get(f"/chat_sessions/{text}") for text in texts),
            *(api.delete(f"/chat_sessions/{text}") for text in texts),
            *(visitor.get(f"/chat_sessions/{text}") for text in [*texts, other["id"]]),
        )
        assert ChatSession.objects.filter(ended_at__isnull=True).count() == 3


class TestRefresh:
    @pytest.mark.parametrize("way", ["header", "body", "body beside an old chat token"])
    def test_it_gives_new_tokens_once(self, api: Api, tenant: Tenant, way: str) -> None:
        session = open_session(api, tenant)
        token = session["refresh_token"]
        if way == "header":
            sent: tuple[str | None, dict[str, Any] | None] = (token, None)
        else:
            sent = (None if way == "body" else session["chat_token"], {"refresh_token": token})
        response = refresh(session, *sent)
        assert response.status_code == 200
        assert list(response.json()) == OPENED
        assert response["Cache-Control"] == "no-store"
        assert response.json()["refresh_token"] != token
        assert Api(response.json()["chat_token"]).get(f"/chat_sessions/{session['id']}").status_code == 200
        assert refresh(session, response.json()["refresh_token"]).status_code == 200

    def test_nothing_else_refreshes(self, api: Api, tenant: Tenant) -> None:
        session, other = open_session(api, tenant), open_session(api, tenant)
        for token in (session["chat_token"], tenant.key, other["refresh_token"], "ths_x"):
            problem(refresh(session, token), 401, "invalid_refresh_token")
        problem(refresh(session, None), 401, "invalid_refresh_token")
        problem(refresh({"id": "session_1"}, session["refresh_token"]), 404, "chat_session_not_found")
        assert "Unknown field" in fault(refresh(session, None, {"token": "x"}), "body", "token")


class TestEnd:
    def test_its_tokens_stop_working_and_its_threads_stay(self, api: Api, tenant: Tenant) -> None:
        session = open_session(api, tenant)
        path, visitor = f"/chat_sessions/{session['id']}", Api(session["chat_token"])
        response = api.delete(path)
        assert (response.status_code, response.content) == (204, b"")
        problem(visitor.get(path), 401, "invalid_chat_token")
        problem(visitor.get(f"{path}/threads"), 401, "invalid_chat_token")
        problem(refresh(session, session["refresh_token"]), 401, "invalid_refresh_token")
        same_404(api.get(path), api.delete(path), api.get(f"{path}/threads"))
        assert api.get(f"/threads/{session['thread_id']}").status_code == 200

    def test_a_visitor_logs_out_with_it(self, api: Api, tenant: Tenant) -> None:
        session, other = open_session(api, tenant), open_session(api, tenant)
        visitor = Api(session["chat_token"])
        assert visitor.delete(f"/chat_sessions/{other['id']}").status_code == 404
        assert visitor.delete(f"/chat_sessions/{session['id']}").status_code == 204
        problem(visitor.get(f"/chat_sessions/{session['id']}"), 401, "invalid_chat_token")
        assert Api(other["chat_token"]).get(f"/chat_sessions/{other['id']}").status_code == 200
        assert [each.end_reason for each in ChatSession.objects.all()] == ["", "logged_out"]

    def test_a_key_that_only_reads_may_not_end_it(self, api: Api, tenant: Tenant) -> None:
        session = open_session(api, tenant)
        _, secret = keys.create(workspace=tenant.workspace, user=tenant.owner, name="reader", scopes=[Scope.READ])
        problem(Api(secret).delete(f"/chat_sessions/{session['id']}"), 403, "permission_missing")
        assert api.get(f"/chat_sessions/{session['id']}").status_code == 200

    def test_it_ends_by_itself(self, api: Api, tenant: Tenant) -> None:
        session = open_session(api, tenant)
        ChatSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        problem(Api(session["chat_token"]).get(f"/chat_sessions/{session['id']}"), 401, "invalid_chat_token")
        assert api.get(f"/chat_sessions/{session['id']}").status_code == 404


class TestRevoke:
    def test_it_ends_what_fits_everything_named(
        self, api: Api, tenant: Tenant, mallorys: Api, other_tenant: Tenant
    ) -> None:
        mine = [open_session(api, tenant, ref) for ref in ("a", "a", "b")]
        foreign = open_session(mallorys, other_tenant, "a")
        body = {"external_ref": "a", "agent_id": tenant.agent.wire_id}
        assert api.post("/chat_sessions/revoke", body).json() == {"ended": 2}
        assert api.post("/chat_sessions/revoke", body).json() == {"ended": 0}
        assert api.post("/chat_sessions/revoke", {"agent_id": other_tenant.agent.wire_id}).json() == {"ended": 0}
        assert api.post("/chat_sessions/revoke", {"user_id": "user_1"}).json() == {"ended": 0}
        alive = {each["id"] for each in api.get("/chat_sessions").json()["data"]}
        assert alive == {mine[2]["id"]}
        assert Api(foreign["chat_token"]).get(f"/chat_sessions/{foreign['id']}").status_code == 200

    def test_it_does_not_end_everything(self, api: Api, tenant: Tenant) -> None:
        session = open_session(api, tenant)
        problem(api.post("/chat_sessions/revoke", {}), 422, "nothing_named")
        body = {"agent_id": tenant.agent.wire_id}
        problem(Api(session["chat_token"]).post("/chat_sessions/revoke", body), 403, "permission_missing")
        assert api.get(f"/chat_sessions/{session['id']}").status_code == 200
