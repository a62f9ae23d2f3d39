"""GET and POST /api/me, GET /api/workspaces"""

from typing import Any

import pytest

from tests.conftest import PASSWORD, Api, Tenant, access_token
from threadhub.workspaces import keys, memberships
from threadhub.workspaces.models import ApiKey, User
from threadhub.workspaces.permissions import Role, Scope

NEW_PASSWORD = "another long secret 7"


def test_it_is_the_user_flat(tenant: Tenant, alice: User, as_user: Any) -> None:
    workspace = {"_id": tenant.workspace.wire_id, "name": "acme", "roles": ["member"], "labels": []}
    assert as_user(alice).get("/api/me").json() == {
        "_id": alice.wire_id,
        "tenant": tenant.workspace.wire_id,
        "username": "alice",
        "email": "alice@example.org",
        "phone": None,
        "name": "alice",
        "firstName": "",
        "lastName": "",
        "fullName": "",
        "profileImage": None,
        "birthDate": None,
        "roles": ["user"],
        "metadata": {},
        "workspace": workspace,
    }


def test_with_a_key_it_is_the_user_it_acts_as(api: Api, tenant: Tenant) -> None:
    me = api.get("/api/me").json()
    assert (me["_id"], me["roles"]) == (tenant.owner.wire_id, ["admin"])


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "you are not authorized. must be logged in."),
        ({"Authorization": "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"}, "authorization token is not valid."),
        ({"x-api-key": "ql_" + "0" * 64}, "Invalid or expired API token"),
        ({"x-api-key": "th_nonsense"}, "Invalid or expired API token"),
        ({"Authorization": "Bearer nonsense"}, "Invalid or expired API token"),
    ],
)
def test_without_valid_credentials_it_is_401_with_the_vendors_words(
    db: None, headers: dict[str, str], message: str
) -> None:
    response = Api().get("/api/me", headers=headers)
    assert response.status_code == 401
    assert (response.json()["error"], response.json()["message"]) == ("Unauthorized", message)
    assert response["WWW-Authenticate"] == "Bearer"


def test_what_is_named_changes_and_nothing_else(alice: User, as_user: Any) -> None:
    api = as_user(alice)
    before = api.get("/api/me").json()
    profile = {"firstName": "Ada", "lastName": "Lovelace", "phone": "+44 1", "birthDate": "1815-12-10"}
    ignored = {"_id": "user_1", "username": "root", "roles": ["admin"], "is_staff": True, "tenant": "x"}
    response = api.post("/api/me", {**profile, "metadata": {"theme": "dark"}, **ignored})
    assert response.status_code == 200
    expected = {**before, **profile, "fullName": "Ada Lovelace", "name": "Ada Lovelace", "metadata": {"theme": "dark"}}
    assert response.json() == expected
    assert api.get("/api/me").json() == expected
    assert api.post("/api/me", {"phone": None}).json() == {**expected, "phone": None}
    assert api.post("/api/me", {}).json()["metadata"] == {"theme": "dark"}


def test_a_full_name_is_split_where_its_parts_are_missing(alice: User, as_user: Any) -> None:
    me = as_user(alice).post("/api/me", {"fullName": "Ada King Lovelace"}).json()
    assert (me["firstName"], me["lastName"]) == ("Ada", "King Lovelace")


def test_a_new_password_ends_the_other_sign_ins_but_this_one(alice: User) -> None:
    here, elsewhere = Api(access_token(alice)), Api(access_token(alice))
    assert here.post("/api/me", {"password": NEW_PASSWORD}).status_code == 200
    assert here.get("/api/me").status_code == 200
    assert elsewhere.get("/api/me").status_code == 401
    old, new = ({"username": "alice", "password": password} for password in (PASSWORD, NEW_PASSWORD))
    assert Api().post("/api/signin", old).status_code == 401
    assert Api().post("/api/signin", new).status_code == 200


@pytest.mark.parametrize("body", [{"password": "short"}, {"email": "nonsense"}, {"metadata": "x"}, {"firstName": {}}])
def test_what_cannot_be_is_400_and_changes_nothing(alice: User, as_user: Any, body: dict[str, Any]) -> None:
    response = as_user(alice).post("/api/me", {"lastName": "Changed", **body})
    assert response.status_code == 400
    assert next(iter(body)) in response.json()["message"]
    assert as_user(alice).get("/api/me").json()["lastName"] == ""


def test_a_key_cannot_take_the_account_over(api: Api, tenant: Tenant) -> None:
    for body in ({"password": NEW_PASSWORD}, {"email": "mallory@evil.example"}):
        assert api.post("/api/me", body).status_code == 403
    assert api.post("/api/me", {"firstName": "Ada"}).json()["firstName"] == "Ada"
    _, secret = keys.create(workspace=tenant.workspace, user=tenant.owner, name="reader", scopes=[Scope.READ])
    assert Api(secret).post("/api/me", {"firstName": "Eve"}).status_code == 403
    assert api.get("/api/me").json()["firstName"] == "Ada"


def test_me_takes_few_queries(alice: User, as_user: Any, django_assert_num_queries: Any) -> None:
    api = as_user(alice)
    # the token's user; whether its sign-in is void; the role; the user again; the place in the workspace
    with django_assert_num_queries(5):
        api.get("/api/me")


def test_workspaces_are_those_of_the_user(tenant: Tenant, other_tenant: Tenant, alice: User, as_user: Any) -> None:
    api = as_user(alice)
    first = {
        "_id": tenant.workspace.wire_id,
        "name": "acme",
        "logo": None,
        "tenant": tenant.workspace.wire_id,
        "members": [{"user": alice.wire_id, "roles": ["member"]}],
        "isPrivilegedUser": False,
    }
    assert api.get("/api/workspaces").json() == [first]
    memberships.join(workspace=other_tenant.workspace, user=alice, role=Role.ADMIN)
    both = api.get("/api/workspaces").json()
    assert [each["_id"] for each in both] == [tenant.workspace.wire_id, other_tenant.workspace.wire_id]
    assert [each["isPrivilegedUser"] for each in both] == [False, True]
    _, secret = keys.create(workspace=tenant.workspace, user=alice, name="own", kind=ApiKey.Kind.PERSONAL)
    assert Api(secret).get("/api/workspaces").json() == [first]
    assert Api().get("/api/workspaces").status_code == 401
