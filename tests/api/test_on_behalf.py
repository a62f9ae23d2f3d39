"""`X-End-User`: a server's key acts for a person of its product."""

from typing import Any

import pytest

from tests.conftest import Api, Tenant, make_user
from threadhub.audit.models import AuditEvent
from threadhub.workspaces import keys
from threadhub.workspaces.models import EndUser, User
from threadhub.workspaces.permissions import Role, Scope


def thread_for(api: Api, tenant: Tenant, end_user: str) -> dict[str, Any]:
    response = api.post(f"/agents/{tenant.agent.wire_id}/threads", {}, HTTP_X_END_USER=end_user)
    assert response.status_code == 200, response.content
    thread: dict[str, Any] = response.json()
    return thread


def listed(api: Api, path: str = "/threads", **headers: str) -> list[str]:
    response = api.get(path, **headers)
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["data"]]


def test_their_threads_are_found_by_reference_and_by_id(api: Api, tenant: Tenant) -> None:
    one, two = thread_for(api, tenant, "customer-1"), thread_for(api, tenant, "customer-2")
    plain = api.post(f"/agents/{tenant.agent.wire_id}/threads").json()
    assert len({each["user_id"] for each in (one, two, plain)}) == 3
    assert listed(api, "/threads?userId=customer-1") == [one["id"]]
    assert listed(api, f"/threads?userId={one['user_id']}") == [one["id"]]
    assert listed(api, "/threads?userId=nobody") == []
    assert [row["_id"] for row in api.get("/api/ai/threads?user=customer-2").json()] == [two["id"]]
    people = api.get("/end_users?reference=customer-2").json()["data"]
    assert [(row["user_id"], row["reference"]) for row in people] == [(two["user_id"], "customer-2")]
    api.post(f"/threads/{one['id']}/messages", {"role": "user", "content": "zebra"})
    assert len(api.get("/search?q=zebra&userId=customer-1").json()["data"]) == 1
    assert api.get("/search?q=zebra&userId=customer-2").json()["data"] == []


def test_on_their_behalf_only_theirs_is_seen(api: Api, tenant: Tenant) -> None:
    one, two = thread_for(api, tenant, "customer-1"), thread_for(api, tenant, "customer-2")
    assert listed(api, HTTP_X_END_USER="customer-1") == [one["id"]]
    assert listed(api, HTTP_X_END_USER=one["user_id"]) == [one["id"]]
    assert api.get(f"/threads/{two['id']}", HTTP_X_END_USER="customer-1").status_code == 404
    assert len(listed(api)) == 2
    assert api.get("/api_keys", HTTP_X_END_USER="customer-1").status_code == 403
    assert api.get("/chat_sessions", HTTP_X_END_USER="customer-1").status_code == 403


def test_reading_makes_nobody_up(api: Api, tenant: Tenant) -> None:
    assert listed(api, HTTP_X_END_USER="never seen") == []
    assert not EndUser.objects.exists()
    thread_for(api, tenant, "never seen")
    assert EndUser.objects.get().reference == "never seen"
    user = EndUser.objects.get().user
    assert not user.has_usable_password()
    assert not user.memberships.exists()


def test_a_reference_may_be_any_readable_text(api: Api, tenant: Tenant) -> None:
    for reference in ("a/b?c", "käthe".encode().decode("latin-1"), "x" * 255, "用户".encode().decode("latin-1")):
        thread = thread_for(api, tenant, reference)
        assert listed(api, HTTP_X_END_USER=reference) == [thread["id"]]
    assert EndUser.objects.filter(reference="käthe").exists()
    assert EndUser.objects.filter(reference="用户").exists()
    for reference in ("", "x" * 256, "a\x07b"):
        response = api.get("/threads", HTTP_X_END_USER=reference)
        assert (response.status_code, response.json()["code"]) == (422, "end_user_malformed"), reference


def test_references_are_the_workspaces_own(
    api: Api, tenant: Tenant, other_tenant: Tenant, alice: User, mallory: User
) -> None:
    mine = thread_for(api, tenant, "customer-1")
    foreign = Api(other_tenant.key)
    theirs = foreign.post(f"/agents/{other_tenant.agent.wire_id}/threads", {}, HTTP_X_END_USER="customer-1").json()
    assert mine["user_id"] != theirs["user_id"]
    answers = [
        api.get("/threads", HTTP_X_END_USER=stranger)
        for stranger in (theirs["user_id"], mallory.wire_id, "user_01k00000000000000000000000")
    ]
    assert [(each.status_code, each.json()["code"]) for each in answers] == [(422, "end_user_unknown")] * 3
    assert api.get("/threads", HTTP_X_END_USER=alice.wire_id).status_code == 200


def test_it_takes_the_scope_write(tenant: Tenant, alice: User, as_user: Any) -> None:
    _, reader = keys.create(workspace=tenant.workspace, user=tenant.owner, name="r", scopes=[Scope.READ])
    for api in (Api(reader), as_user(alice)):
        response = api.get("/threads", HTTP_X_END_USER="customer-1")
        assert (response.status_code, response.json()["code"]) == (403, "permission_missing")


def test_the_audit_trail_says_who_acted_for_whom(api: Api, tenant: Tenant) -> None:
    thread = thread_for(api, tenant, "customer-1")
    api.delete(f"/threads/{thread['id']}", HTTP_X_END_USER="customer-1")
    user = EndUser.objects.get().user_id
    for event in AuditEvent.objects.filter(on_behalf_of=f"user:{user}"):
        assert event.actor.startswith("key:")


def test_one_idempotency_key_does_not_answer_for_two_people(api: Api, tenant: Tenant) -> None:
    path = f"/agents/{tenant.agent.wire_id}/threads"
    one, two, again = (
        api.post(path, {}, HTTP_X_END_USER=who, HTTP_IDEMPOTENCY_KEY="same").json()["id"]
        for who in ("customer-1", "customer-2", "customer-1")
    )
    assert one != two
    assert one == again


def test_an_admin_may_act_for_a_member_but_not_take_their_account(tenant: Tenant, alice: User, as_user: Any) -> None:
    admin = as_user(make_user("ada", tenant.workspace, Role.ADMIN))
    headers = {"HTTP_X_IMPERSONATE_USER": alice.wire_id, "HTTP_X_IMPERSONATE_WORKSPACE": tenant.workspace.wire_id}
    made = admin.post("/api/ai/threads", {"integration": tenant.agent.wire_id}, **headers).json()
    assert made["user"] == alice.wire_id
    assert [row["_id"] for row in as_user(alice).get("/api/ai/threads").json()] == [made["_id"]]
    assert admin.get("/api/me", **headers).json()["username"] == "alice"
    assert admin.post("/api/me", {"password": "stolen stolen stolen"}, **headers).status_code == 403
    assert admin.post("/api/me", {"firstName": "Eve"}, **headers).status_code == 403
    tokens = {"nickname": "x", "expiresAt": "2099-01-01"}
    assert admin.post("/api/me/api-tokens", tokens, **headers).status_code == 403
    assert admin.get("/api/me/api-tokens", **headers).status_code == 403
    assert admin.delete(f"/workspaces/{tenant.workspace.wire_id}/members/{alice.wire_id}", **headers).status_code == 403
    elsewhere = {**headers, "HTTP_X_IMPERSONATE_WORKSPACE": "workspace_01k00000000000000000000000"}
    assert admin.get("/api/ai/threads", **elsewhere).status_code == 403


@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_is_spared_proving_who_they_are(tenant: Tenant, method: str) -> None:
    path = f"/agents/{tenant.agent.wire_id}/threads"
    assert getattr(Api(), method)(path, HTTP_X_END_USER="customer-1").status_code == 401
    assert not EndUser.objects.exists()
