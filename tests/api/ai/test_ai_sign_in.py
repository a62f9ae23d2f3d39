"""POST /api/signin, /api/token/refresh, /api/logout, and what the cookie opens"""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import PASSWORD, Api, Tenant
from threadhub.lib import json
from threadhub.workspaces import memberships, sign_in
from threadhub.workspaces.models import RefreshToken, User
from threadhub.workspaces.permissions import Role

SIGN_IN = "/api/signin"


def oauth(username: str = "alice", **more: Any) -> Any:
    return Api().post(SIGN_IN, {"username": username, "password": PASSWORD, "authType": "oauth", **more})


def browser(user: User) -> Api:
    """A client that signed in for a cookie and sends nothing else."""
    api = Api()
    assert api.post(SIGN_IN, {"username": user.username, "password": PASSWORD}).status_code == 200
    return api


def without_id(response: Any) -> dict[str, Any]:
    return {name: value for name, value in response.json().items() if name != "requestId"}


def test_oauth_answers_tokens_user_and_workspace(tenant: Tenant, alice: User) -> None:
    response = oauth()
    assert response.status_code == 200
    payload = response.json()["payload"]
    assert payload.keys() == {"token", "refreshToken", "user", "workspace"}
    assert payload["user"] == {
        "_id": alice.wire_id,
        "username": "alice",
        "email": "alice@example.org",
        "firstName": "",
        "lastName": "",
        "fullName": "",
        "name": "alice",
        "roles": ["user"],
    }
    assert payload["workspace"] == {
        "_id": tenant.workspace.wire_id,
        "name": "acme",
        "roles": ["member"],
        "labels": [],
    }
    assert not response.cookies
    assert Api(payload["token"]).get("/api/me").json()["username"] == "alice"


def test_owners_and_admins_have_the_role_admin(tenant: Tenant) -> None:
    assert oauth(tenant.owner.username).json()["payload"]["user"]["roles"] == ["admin"]


def test_without_oauth_there_is_a_cookie_and_no_token(tenant: Tenant, alice: User) -> None:
    response = Api().post(SIGN_IN, {"username": "alice", "password": PASSWORD})
    assert response.json()["payload"].keys() == {"user", "workspace"}
    ((name, cookie),) = response.cookies.items()
    assert name.startswith("qlt_")
    assert (cookie["httponly"], cookie["path"], cookie["samesite"], cookie["secure"]) == (True, "/api", "Lax", "")
    assert cookie["max-age"] == 300 * 60
    secure = Client().post(
        SIGN_IN, {"username": "alice", "password": PASSWORD}, content_type="application/json", secure=True
    )
    assert secure.cookies[name]["secure"] is True


def test_a_wrong_password_and_an_unknown_user_answer_alike(alice: User) -> None:
    wrong = Api().post(SIGN_IN, {"username": "alice", "password": "wrong", "authType": "oauth"})
    nobody = Api().post(SIGN_IN, {"username": "nobody", "password": "wrong", "authType": "oauth"})
    assert wrong.status_code == nobody.status_code == 401
    assert without_id(wrong) == without_id(nobody)
    assert wrong.json()["message"] == wrong.json()["errors"]["general"]["message"]
    assert "password" in wrong.json()["message"]
    assert not wrong.cookies


@pytest.mark.parametrize("body", [{}, {"username": "alice"}, {"password": "x"}, {"username": None, "password": "x"}])
def test_username_and_password_are_needed(alice: User, body: dict[str, Any]) -> None:
    response = Api().post(SIGN_IN, body)
    assert response.status_code == 400
    assert response.json()["errors"]


def test_who_was_deactivated_cannot_sign_in_nor_go_on(alice: User) -> None:
    token = oauth().json()["payload"]["token"]
    User.objects.update(is_active=False)
    assert oauth().status_code == 401
    assert Api(token).get("/api/me").status_code == 401


def test_the_workspace_can_be_chosen_among_ones_own(tenant: Tenant, other_tenant: Tenant, alice: User) -> None:
    wanted = other_tenant.workspace.wire_id
    assert oauth(workspace=wanted).status_code == 403
    assert oauth(workspace="nonsense").status_code == 400
    memberships.join(workspace=other_tenant.workspace, user=alice, role=Role.MEMBER)
    assert oauth(workspace=wanted).json()["payload"]["workspace"]["_id"] == wanted
    assert oauth().json()["payload"]["workspace"]["_id"] == tenant.workspace.wire_id


def test_the_cookie_opens_the_ai_dialect_and_nothing_else(tenant: Tenant, alice: User) -> None:
    api = browser(alice)
    assert api.get("/api/me").json()["username"] == "alice"
    assert api.get("/api/ai/threads").status_code == 200
    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in api.cookies.items())
    for path in ("/threads", f"/agents/{tenant.agent.wire_id}/threads"):
        assert Api().get(path, headers={"Cookie": cookie}).status_code == 401


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://testserver", 201),
        ("https://friend.example", 201),
        ("https://evil.example", 403),
        ("null", 403),
        ("http://testserver.evil.example", 403),
    ],
)
def test_the_cookie_counts_from_known_origins_only(
    tenant: Tenant, alice: User, settings: Any, origin: str, status: int
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://friend.example"]
    body = {"integration": tenant.agent.wire_id}
    response = browser(alice).post("/api/ai/threads", body, headers={"Origin": origin})
    assert response.status_code == status
    with_token = Api(oauth().json()["payload"]["token"])
    assert with_token.post("/api/ai/threads", body, headers={"Origin": origin}).status_code == 201


def test_a_foreign_page_cannot_sign_somebody_in(alice: User) -> None:
    body = json.dumps({"username": "alice", "password": PASSWORD}).decode()
    headers = {"Origin": "https://evil.example"}
    response = Api().post(SIGN_IN, body, content_type="text/plain", headers=headers)
    assert response.status_code == 403
    assert not response.cookies


def test_a_refresh_token_works_once_and_the_access_token_goes_on(alice: User) -> None:
    first = oauth().json()["payload"]
    response = Api(first["refreshToken"]).post("/api/token/refresh", "", content_type="")
    assert response.status_code == 200
    second = response.json()["payload"]
    assert second.keys() >= {"token", "refreshToken", "user"}
    assert {first["token"], first["refreshToken"]}.isdisjoint({second["token"], second["refreshToken"]})
    assert Api(first["token"]).get("/api/me").status_code == 200
    assert Api(second["token"]).get("/api/me").status_code == 200
    again = Api(first["refreshToken"]).post("/api/token/refresh")
    assert (again.status_code, again.json()["code"]) == (401, "invalid_refresh_token")
    assert Api(second["token"]).get("/api/me").status_code == 200, "two requests of one client at once are no theft"
    RefreshToken.objects.filter(used_at__isnull=False).update(used_at=timezone.now() - timedelta(minutes=1))
    assert Api(first["refreshToken"]).post("/api/token/refresh").status_code == 401
    assert Api(second["token"]).get("/api/me").status_code == 401, "somebody copied it: the whole sign-in is void"


def test_a_refresh_token_may_come_in_the_body(alice: User) -> None:
    token = oauth().json()["payload"]["refreshToken"]
    assert Api().post("/api/token/refresh", {"refreshToken": token}).status_code == 200


def test_what_is_no_refresh_token_is_401(alice: User) -> None:
    payload = oauth().json()["payload"]
    RefreshToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for token in (None, "nonsense", payload["token"], payload["refreshToken"]):
        response = Api(token).post("/api/token/refresh")
        assert response.status_code == 401
        assert response.json()["message"]


def test_logout_ends_the_sign_in_and_clears_the_cookie(alice: User) -> None:
    payload = oauth().json()["payload"]
    other = oauth().json()["payload"]
    response = Api(payload["token"]).post("/api/logout", "", content_type="")
    assert (response.status_code, response.content) == (200, b"")
    assert Api(payload["token"]).get("/api/me").status_code == 401
    assert Api(payload["refreshToken"]).post("/api/token/refresh").status_code == 401
    assert Api(other["token"]).get("/api/me").status_code == 200
    api = browser(alice)
    assert api.post("/api/logout").status_code == 200
    assert [cookie.value for cookie in api.cookies.values()] == [""]


def test_a_key_cannot_be_logged_out(api: Api) -> None:
    assert api.post("/api/logout").status_code == 403
    assert Api().post("/api/logout").status_code == 401
    assert api.get("/api/me").status_code == 200


def test_an_access_token_ends_with_its_time(alice: User) -> None:
    long_ago = timezone.now() - timedelta(days=2)
    token = sign_in.issue(user=alice, workspace_id=None, now=long_ago).access_token
    response = Api(token).get("/api/me")
    assert (response.status_code, response.json()["message"]) == (401, "authorization token is not valid.")
