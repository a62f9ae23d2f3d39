"""GET, POST and DELETE /api/me/api-tokens"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.api.ai.conftest import new_thread
from tests.clients.shapes import is_time
from tests.conftest import Api, Tenant
from threadhub.lib.json import timestamp
from threadhub.workspaces import keys
from threadhub.workspaces.models import ApiKey, User

PATH = "/api/me/api-tokens"
TOMORROW = timestamp(timezone.now() + timedelta(days=1))


def make(api: Api, **changes: Any) -> Any:
    return api.post(PATH, {"nickname": "ci", "expiresAt": TOMORROW, **changes})


def test_a_token_is_made_and_shown_once(tenant: Tenant, alice: User, as_user: Any) -> None:
    api = as_user(alice)
    response = make(api)
    assert response.status_code == 201
    made = response.json()
    assert made.keys() == {"token", "apiToken"}
    assert made["apiToken"] == {
        "_id": made["apiToken"]["_id"],
        "nickname": "ci",
        "tokenPrefix": made["token"][:8],
        "expiresAt": TOMORROW,
        "lastUsedAt": None,
        "workspace": tenant.workspace.wire_id,
        "created": made["apiToken"]["created"],
        "usageCount": 0,
    }
    assert is_time(made["apiToken"]["created"])
    listing = api.get(PATH)
    assert listing.json() == [made["apiToken"]]
    assert made["token"] not in listing.content.decode()


def test_a_token_acts_as_its_user_and_its_use_is_noted(tenant: Tenant, alice: User, as_user: Any) -> None:
    api = as_user(alice)
    owners = new_thread(as_user(tenant.owner), tenant)
    by_token = Api(make(api).json()["token"])
    assert by_token.get("/api/me").json()["username"] == "alice"
    thread_id = new_thread(by_token, tenant)
    assert api.get(f"/api/ai/threads/{thread_id}").json()["user"] == alice.wire_id
    assert by_token.get(f"/api/ai/threads/{owners}").status_code == 404
    (token,) = api.get(PATH).json()
    assert token["usageCount"] == 1
    assert is_time(token["lastUsedAt"])


def test_the_newest_comes_first(alice: User, as_user: Any) -> None:
    for name in "abc":
        make(as_user(alice), nickname=name)
    assert [token["nickname"] for token in as_user(alice).get(PATH).json()] == ["c", "b", "a"]


def test_a_deleted_token_stops_working(alice: User, as_user: Any) -> None:
    api = as_user(alice)
    made = make(api).json()
    path = f"{PATH}/{made['apiToken']['_id']}"
    response = api.delete(path)
    assert (response.status_code, response.json()) == (200, {"message": "Token revoked"})
    assert Api(made["token"]).get("/api/me").json()["message"] == "Invalid or expired API token"
    assert api.get(PATH).json() == []
    again = api.delete(path)
    assert (again.status_code, again.json()["message"]) == (404, "Token not found")


def test_tokens_of_others_are_not_found(
    api: Api, tenant: Tenant, alice: User, victor: User, mallory: User, as_user: Any
) -> None:
    token_id = make(as_user(alice)).json()["apiToken"]["_id"]
    workspace_key = ApiKey.objects.get(user=tenant.owner).wire_id
    for user in (victor, mallory, tenant.owner):
        for wanted in (token_id, workspace_key, "nonsense", "key_01jaaaaaaaaaaaaaaaaaaaaaaa"):
            response = as_user(user).delete(f"{PATH}/{wanted}")
            assert (response.status_code, response.json()["message"]) == (404, "Token not found")
        assert as_user(user).get(PATH).json() == []
    assert api.get("/api/me").status_code == 200


def test_an_expired_token_neither_works_nor_counts(alice: User, as_user: Any) -> None:
    made = make(as_user(alice)).json()
    ApiKey.objects.filter(user=alice).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert Api(made["token"]).get("/api/me").status_code == 401
    assert as_user(alice).get(PATH).json() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nickname": None}, "nickname and expiresAt are required"),
        ({"nickname": ""}, "nickname and expiresAt are required"),
        ({"expiresAt": None}, "nickname and expiresAt are required"),
        ({"expiresAt": "2020-01-01T00:00:00.000Z"}, "expiresAt must be a valid future date"),
        ({"expiresAt": "tomorrow"}, "expiresAt must be a valid future date"),
        ({"expiresAt": "2999-02-30"}, "expiresAt must be a valid future date"),
        ({"expiresAt": "9999-12-31T23:59:59-23:00"}, "expiresAt must be a valid future date"),
    ],
)
def test_name_and_end_are_needed(alice: User, as_user: Any, changes: dict[str, Any], message: str) -> None:
    response = make(as_user(alice), **changes)
    assert (response.status_code, response.json()["message"]) == (400, message)
    assert not ApiKey.objects.filter(user=alice).exists()


@pytest.mark.parametrize("end", ["2999-01-01", "2999-01-01T00:00:00", "2999-01-01T02:00:00+02:00"])
def test_an_end_may_be_spelled_in_any_iso_form(alice: User, as_user: Any, end: str) -> None:
    assert make(as_user(alice), expiresAt=end).json()["apiToken"]["expiresAt"] == "2999-01-01T00:00:00.000Z"


def test_an_eleventh_is_refused(tenant: Tenant, alice: User, as_user: Any) -> None:
    for number in range(10):
        keys.create(
            workspace=tenant.workspace,
            user=alice,
            name=str(number),
            kind=ApiKey.Kind.PERSONAL,
            expires_at=datetime(2999, 1, 1, tzinfo=UTC),
        )
    response = make(as_user(alice))
    assert (response.status_code, response.json()["message"]) == (400, "Maximum 10 active tokens allowed per user")
    assert ApiKey.objects.filter(user=alice).count() == 10


def test_a_token_is_for_a_workspace_of_ones_own(other_tenant: Tenant, alice: User, as_user: Any) -> None:
    response = make(as_user(alice), workspace=other_tenant.workspace.wire_id)
    assert (response.status_code, response.json()["message"]) == (404, "Workspace not found")
    assert make(as_user(alice), workspace="nonsense").status_code == 400


def test_no_token_manages_tokens(api: Api, alice: User, as_user: Any) -> None:
    made = make(as_user(alice)).json()
    for by_token in (api, Api(made["token"])):
        for response in (by_token.get(PATH), make(by_token), by_token.delete(f"{PATH}/{made['apiToken']['_id']}")):
            assert response.status_code == 403
            assert response.json()["message"] == "API token management is not allowed via token authentication"
    assert Api().get(PATH).status_code == 401
