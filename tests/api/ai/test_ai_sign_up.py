"""POST /api/signup"""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.conftest import Api, Tenant
from threadhub.workspaces.models import Membership, User, Workspace

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
