"""POST /api/signup"""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from tests.conftest import Api, Tenant
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.models import Invitation, Membership, User, Workspace

NEW: dict[str, Any] = {
    "username": "ada@example.org",
    "password": "a long enough secret",
    "firstName": "Ada",
    "lastName": "Lovelace",
    "birthDate": "1815-12-10",
    "phone": "+44 1",
    "email": "ada@example.org",
    "authType": "oauth",
}


def sign_up(**changes: Any) -> Any:
    return Api().post("/api/signup", {**NEW, **changes})


@pytest.fixture
def _open(settings: Any, db: None) -> None:
    settings.SIGNUP_ENABLED = True


def test_it_is_off_unless_switched_on(db: None) -> None:
    response = sign_up()
    assert (response.status_code, response.json()["code"]) == (403, "sign_up_disabled")
    assert not User.objects.exists()


@pytest.mark.usefixtures("_open")
def test_it_makes_a_user_with_a_workspace_of_their_own(tenant: Tenant) -> None:
    response = sign_up()
    assert response.status_code == 200
    payload = response.json()["payload"]
    assert payload["workspace"]["roles"] == ["owner"]
    assert payload["workspace"]["_id"] != tenant.workspace.wire_id
    me = Api(payload["token"]).get("/api/me").json()
    assert (me["fullName"], me["birthDate"], me["phone"]) == ("Ada Lovelace", "1815-12-10", "+44 1")
    signing_in = {"username": NEW["username"], "password": NEW["password"], "authType": "oauth"}
    assert Api().post("/api/signin", signing_in).status_code == 200
    assert Api(payload["token"]).get("/api/ai/agents").json() == []


@pytest.mark.usefixtures("_open")
def test_it_joins_the_configured_workspace_as_a_member(tenant: Tenant, settings: Any) -> None:
    settings.SIGNUP_WORKSPACE = tenant.workspace.wire_id
    payload = sign_up(authType=None).json()["payload"]
    assert (payload["workspace"]["_id"], payload["workspace"]["roles"]) == (tenant.workspace.wire_id, ["member"])
    assert Workspace.objects.count() == 1


@pytest.mark.usefixtures("_open")
def test_a_wrong_setting_is_told_to_the_operator_only(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.SIGNUP_WORKSPACE = "nonsense"
    response = sign_up()
    assert response.status_code == 500
    assert "SIGNUP_WORKSPACE" not in response.content.decode()
    assert any(record.exc_info and record.exc_info[0] is ImproperlyConfigured for record in caplog.records)
    assert not User.objects.exists()


@pytest.mark.usefixtures("_open")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"username": ""}, "username"),
        ({"username": "with spaces"}, "username"),
        ({"username": "alice"}, "username"),
        ({"password": "short"}, "password"),
        ({"password": "password"}, "password"),
        ({"password": "ada@example.org"}, "password"),
        ({"email": "nonsense"}, "email"),
        ({"firstName": "x" * 151}, "firstName"),
    ],
)
def test_what_cannot_be_is_400_and_nothing_is_made(alice: User, changes: dict[str, Any], field: str) -> None:
    response = sign_up(**changes)
    assert response.status_code == 400
    assert response.json()["errors"][0]["loc"] == ["body", field]
    assert not User.objects.filter(username=NEW["username"]).exists()
    assert Membership.objects.filter(user__username="alice").count() == 1


@pytest.mark.usefixtures("_open")
def test_nobody_signs_up_with_rights(tenant: Tenant) -> None:
    sign_up(is_staff=True, is_superuser=True, roles=["admin"], workspace=tenant.workspace.wire_id, metadata={"a": 1})
    made = User.objects.get(username=NEW["username"])
    assert (made.is_staff, made.is_superuser, made.metadata.keys()) == (False, False, {"profile"})
    assert not Membership.objects.filter(user=made, workspace=tenant.workspace).exists()


class TestInvited:
    """With the token of an invitation one may sign up though signing up is off, and is in its workspace."""

    @pytest.fixture
    def token(self, api: Api, tenant: Tenant) -> str:
        body = {"user": NEW["email"], "role": "viewer"}
        made: str = api.post(f"/workspaces/{tenant.workspace.wire_id}/members", body).json()["token"]
        return made

    def test_they_join_in_the_role_they_were_offered(self, token: str, tenant: Tenant) -> None:
        payload = sign_up(username="ada", invitation=token).json()["payload"]
        assert (payload["workspace"]["_id"], payload["workspace"]["roles"]) == (tenant.workspace.wire_id, ["viewer"])
        assert Workspace.objects.count() == 1
        assert Api(payload["token"]).get("/agents").json()["count"] == 1
        assert sign_up(username="ada2", email="b@example.org", invitation=token).status_code == 404  # it works once

    @pytest.mark.parametrize("changes", [{"email": "eve@example.org"}, {"email": ""}, {"invitation": "thi_nonsense"}])
    def test_nobody_else_gets_in_by_it(self, token: str, changes: dict[str, str]) -> None:
        response = sign_up(username="eve", **{"invitation": token, **changes})
        assert (response.status_code, response.json()["code"]) == (404, "invitation_not_found")
        assert not User.objects.filter(username="eve").exists()

    def test_a_void_token_tells_of_no_user(self, token: str, alice: User) -> None:
        unknown, known = (sign_up(username=name, invitation="thi_x", password="short") for name in ("zoe", "alice"))
        bodies = [response.json() for response in (unknown, known)]
        for body in bodies:
            body.pop("requestId")
        assert bodies[0] == bodies[1]

    def test_an_expired_one_lets_nobody_in(self, token: str) -> None:
        Invitation.objects.update(expires_at=timezone.now())
        assert sign_up(username="ada", invitation=token).status_code == 404
        assert not User.objects.filter(username="ada").exists()

    def test_what_cannot_be_leaves_the_invitation_open(self, token: str) -> None:
        assert sign_up(username="ada", invitation=token, password="short").status_code == 400
        assert sign_up(username="ada", invitation=token).status_code == 200

    def test_it_stands_in_the_trail(self, token: str) -> None:
        sign_up(username="ada", invitation=token)
        actions = set(AuditEvent.objects.values_list("action", flat=True))
        assert {"user.sign_up", "invitation.accept", "member.join"} <= actions
