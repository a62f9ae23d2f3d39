"""Members of a workspace and invitations to it; what a role may do."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.api.rest.conftest import fault, problem, same_404
from tests.conftest import PASSWORD, Api, Tenant, access_token, make_user
from threadhub.agents.models import Agent
from threadhub.audit.models import AuditEvent
from threadhub.workspaces import keys, memberships, sign_in
from threadhub.workspaces.models import Invitation, Membership, User, Workspace
from threadhub.workspaces.permissions import Role, Scope


def members(tenant: Tenant, user: User | None = None) -> str:
    path = f"/workspaces/{tenant.workspace.wire_id}/members"
    return path if user is None else f"{path}/{user.wire_id}"


def invite(api: Api, tenant: Tenant, user: str, role: str = "member") -> dict[str, Any]:
    response = api.post(members(tenant), {"user": user, "role": role})
    assert response.status_code == 201, response.content
    invitation: dict[str, Any] = response.json()
    return invitation


@pytest.fixture
def ada(tenant: Tenant) -> User:
    return make_user("ada", tenant.workspace, Role.ADMIN)


@pytest.fixture
def owner(tenant: Tenant, as_user: Any) -> Api:
    api: Api = as_user(tenant.owner)
    return api


def test_members_are_listed_with_their_roles(api: Api, tenant: Tenant, alice: User, mallory: User) -> None:
    page = api.get(members(tenant)).json()
    assert [(row["user_id"], row["role"]) for row in page["data"]] == [
        (alice.wire_id, "member"),
        (tenant.owner.wire_id, "owner"),
    ]
    assert list(page["data"][0]) == ["user_id", "username", "name", "email", "role", "created_at"]


def test_a_role_counts_from_the_next_request_on(owner: Api, tenant: Tenant, alice: User, as_user: Any) -> None:
    theirs = as_user(alice)
    assert theirs.get("/api_keys").status_code == 403
    assert owner.patch(members(tenant, alice), {"role": "admin"}).json()["role"] == "admin"
    assert theirs.get("/api_keys").status_code == 200
    owner.patch(members(tenant, alice), {"role": "viewer"})
    assert theirs.get("/api_keys").status_code == 403
    assert theirs.post(f"/agents/{tenant.agent.wire_id}/threads").status_code == 403
    events = AuditEvent.objects.filter(action="member.change").values_list("ids", "details")
    assert ([alice.wire_id], {"role": "viewer", "was": "admin"}) in list(events)


def test_only_owners_change_owners(api: Api, owner: Api, tenant: Tenant, ada: User, alice: User, as_user: Any) -> None:
    for asked in (as_user(ada), api):
        assert asked.patch(members(tenant, alice), {"role": "admin"}).status_code == 200
        assert asked.patch(members(tenant, alice), {"role": "member"}).status_code == 200
        problem(asked.patch(members(tenant, alice), {"role": "owner"}), 403, "permission_missing")
        problem(asked.patch(members(tenant, tenant.owner), {"role": "member"}), 403, "permission_missing")
        problem(asked.delete(members(tenant, tenant.owner)), 403, "permission_missing")
        problem(asked.post(members(tenant), {"user": "x", "role": "owner"}), 403, "permission_missing")
    assert owner.patch(members(tenant, alice), {"role": "owner"}).status_code == 200


def test_the_last_owner_stays(owner: Api, tenant: Tenant, alice: User) -> None:
    problem(owner.patch(members(tenant, tenant.owner), {"role": "admin"}), 409, "last_owner")
    problem(owner.delete(members(tenant, tenant.owner)), 409, "last_owner")
    owner.patch(members(tenant, alice), {"role": "owner"})
    assert owner.delete(members(tenant, tenant.owner)).status_code == 204


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("second_deed", ["leave", "demote"])
def test_of_two_owners_who_go_at_once_one_stays(second_deed: str) -> None:
    workspace = Workspace.objects.create(name="acme")
    people = [make_user(name, workspace, Role.OWNER) for name in ("olga", "otto")]
    actors = [sign_in.authenticate(access_token=access_token(person)).actor for person in people]
    barrier, outcomes = threading.Barrier(2), []

    def go(index: int) -> None:
        actor, user_id, now = actors[index], people[index].id, timezone.now()
        barrier.wait(10)
        try:
            if index and second_deed == "demote":
                memberships.change_role(actor=actor, user_id=user_id, role=Role.MEMBER, now=now)
            else:
                memberships.remove(actor=actor, user_id=user_id, now=now)
            outcomes.append("gone")
        except memberships.LastOwner:
            outcomes.append("stays")
        finally:
            connection.close()

    running = [threading.Thread(target=go, args=(index,)) for index in (0, 1)]
    for each in running:
        each.start()
    for each in running:
        each.join(20)
    assert sorted(outcomes) == ["gone", "stays"]
    assert Membership.objects.filter(workspace=workspace, role="owner").count() == 1


def test_who_is_removed_is_out_at_once(owner: Api, tenant: Tenant, alice: User) -> None:
    now = timezone.now()
    signed_in = sign_in.issue(user=alice, workspace_id=None, now=now)
    later = now.replace(year=now.year + 1)
    _, secret = keys.create_personal(
        workspace=tenant.workspace, user=alice, name="mine", expires_at=later, now=now, by=tenant.actor
    )
    _, server = keys.create(workspace=tenant.workspace, user=alice, name="server")
    thread = Api(secret).post(f"/agents/{tenant.agent.wire_id}/threads").json()["id"]
    assert Api(signed_in.access_token).get("/threads").status_code == 200
    assert owner.delete(members(tenant, alice)).status_code == 204
    assert [Api(token).get("/threads").status_code for token in (signed_in.access_token, secret)] == [401, 401]
    with pytest.raises(sign_in.InvalidRefreshToken):
        sign_in.refresh(refresh_token=signed_in.refresh_token, now=now)
    assert Api(server).get(f"/threads/{thread}").status_code == 200
    memberships.join(workspace=tenant.workspace, user=alice, role=Role.MEMBER)
    assert Api(secret).get("/threads").status_code == 401


def test_a_member_may_leave_and_nothing_else(tenant: Tenant, alice: User, victor: User, as_user: Any) -> None:
    problem(as_user(alice).delete(members(tenant, victor)), 403, "permission_missing")
    problem(as_user(alice).patch(members(tenant, alice), {"role": "owner"}), 403, "permission_missing")
    assert as_user(victor).delete(members(tenant, victor)).status_code == 204
    assert as_user(alice).delete(members(tenant, alice)).status_code == 204


def test_strangers_are_not_found(api: Api, tenant: Tenant, mallory: User, other_tenant: Tenant) -> None:
    absent = members(tenant) + "/user_01k00000000000000000000000"
    same_404(api.delete(members(tenant, mallory)), api.delete(absent), api.delete(members(tenant) + "/x"))
    same_404(api.patch(members(tenant, mallory), {"role": "viewer"}), api.patch(absent, {"role": "viewer"}))
    for path in ("members", "invitations"):
        same_404(
            api.get(f"/workspaces/{other_tenant.workspace.wire_id}/{path}"),
            api.get(f"/workspaces/workspace_01k00000000000000000000000/{path}"),
        )
    same_404(
        api.post(members(other_tenant), {"user": "x"}),
        api.post("/workspaces/workspace_01k00000000000000000000000/members", {"user": "x"}),
    )


def test_the_rights_of_one_workspace_do_not_count_in_another(
    tenant: Tenant, other_tenant: Tenant, as_user: Any, alice: User
) -> None:
    """The owner of `tenant` is a viewer of the other one, and signed in to their own."""
    memberships.join(workspace=other_tenant.workspace, user=tenant.owner, role=Role.VIEWER)
    api = as_user(tenant.owner)
    other = f"/workspaces/{other_tenant.workspace.wire_id}"
    assert api.get(other).status_code == 200
    problem(api.patch(other, {"name": "Mine"}), 403, "other_workspace")
    problem(api.get(f"{other}/members"), 403, "other_workspace")
    problem(api.post(f"{other}/members", {"user": "alice", "role": "owner"}), 403, "other_workspace")
    problem(api.delete(members(other_tenant, other_tenant.owner)), 403, "other_workspace")


def test_an_owner_renames_the_workspace(owner: Api, api: Api, tenant: Tenant, ada: User, as_user: Any) -> None:
    path = f"/workspaces/{tenant.workspace.wire_id}"
    assert owner.patch(path, {"name": "Acme Inc."}).json()["name"] == "Acme Inc."
    for asked in (api, as_user(ada)):
        problem(asked.patch(path, {"name": "Mine"}), 403, "permission_missing")
    assert fault(owner.patch(path, {"name": ""}), "body", "name")
    assert fault(owner.patch(path, {"id": "workspace_x", "name": "x"}), "body", "id")


# --- invitations


def test_an_invitation_is_accepted_at_sign_in(api: Api, tenant: Tenant) -> None:
    nora = User.objects.create_user("nora", password=PASSWORD)
    invitation = invite(api, tenant, "nora", "viewer")
    assert list(invitation) == ["id", "user", "role", "created_at", "expires_at", "token"]
    body = {"username": "nora", "password": PASSWORD, "authType": "oauth", "invitation": invitation["token"]}
    wrong = Api().post("/api/signin", {**body, "password": "guess"})
    assert wrong.status_code == 401
    signed_in = Api().post("/api/signin", body)
    assert signed_in.status_code == 200, signed_in.content
    assert signed_in.json()["payload"]["workspace"]["_id"] == tenant.workspace.wire_id
    assert memberships.role_of(user_id=nora.id, workspace_id=tenant.workspace.id) == Role.VIEWER
    assert Api().post("/api/signin", body).status_code == 404
    assert AuditEvent.objects.filter(action="invitation.accept", actor=f"user:{nora.id}").count() == 1


def test_or_by_who_is_signed_in_to_another_workspace(api: Api, tenant: Tenant, mallory: User, as_user: Any) -> None:
    token = invite(api, tenant, "MALLORY@example.org")["token"]
    member = as_user(mallory).post("/invitations/accept", {"token": token})
    assert member.status_code == 200
    assert (member.json()["user_id"], member.json()["role"]) == (mallory.wire_id, "member")
    problem(as_user(mallory).post("/invitations/accept", {"token": token}), 404, "invitation_not_found")
    again = invite(api, tenant, "mallory")["token"]
    problem(as_user(mallory).post("/invitations/accept", {"token": again}), 409, "already_member")


def test_whether_an_account_exists_is_not_told(api: Api, tenant: Tenant, mallory: User) -> None:
    shapes = []
    for user in ("mallory", "nobody at all", mallory.email, "nobody@example.org"):
        invitation = invite(api, tenant, user)
        assert invitation["user"] == user
        shapes.append([(name, len(str(value))) for name, value in invitation.items() if name != "user"])
    assert all(shape == shapes[0] for shape in shapes)


def test_it_is_for_one_person_and_for_people(
    api: Api, tenant: Tenant, mallory: User, other_tenant: Tenant, as_user: Any
) -> None:
    token = invite(api, tenant, "somebody else")["token"]
    same_404(
        as_user(mallory).post("/invitations/accept", {"token": token}),
        as_user(mallory).post("/invitations/accept", {"token": "thi_nonsense"}),
    )
    problem(Api(other_tenant.key).post("/invitations/accept", {"token": token}), 403, "only_for_people")
    assert Api().post("/invitations/accept", {"token": token}).status_code == 401


def test_it_ends_by_time_by_withdrawal_and_with_its_maker(
    api: Api, owner: Api, tenant: Tenant, ada: User, mallory: User, as_user: Any
) -> None:
    mallorys = as_user(mallory)
    old = invite(api, tenant, "mallory")["token"]
    Invitation.objects.update(expires_at=timezone.now())
    problem(mallorys.post("/invitations/accept", {"token": old}), 404, "invitation_not_found")
    replaced, kept = (invite(api, tenant, "mallory") for _ in range(2))
    problem(mallorys.post("/invitations/accept", {"token": replaced["token"]}), 404, "invitation_not_found")
    path = f"/workspaces/{tenant.workspace.wire_id}/invitations"
    (row,) = api.get(path).json()["data"]
    assert row["id"] == kept["id"]
    assert "token" not in row
    assert api.delete(f"{path}/{kept['id']}").status_code == 204
    same_404(api.delete(f"{path}/{kept['id']}"), api.delete(f"{path}/x"))
    by_ada = invite(as_user(ada), tenant, "mallory", "admin")["token"]
    owner.patch(members(tenant, ada), {"role": "member"})
    problem(mallorys.post("/invitations/accept", {"token": by_ada}), 404, "invitation_not_found")
    assert memberships.role_of(user_id=mallory.id, workspace_id=tenant.workspace.id) is None


# --- the table of rights

ALL = {role.value for role in Role}
READERS = {"owner", "admin", "support", "compliance"}
COMPLIANCE = {"owner", "admin", "compliance"}
ROUTES: dict[tuple[str, str], set[str]] = {
    ("get", "/threads"): ALL,
    ("get", "/agents"): ALL,
    ("get", "/workspaces"): ALL,
    ("post", "/agents/{agent}/threads"): {"owner", "admin", "member"},
    ("patch", "/agents/{agent}"): {"owner", "admin"},
    ("get", "/chat_sessions"): READERS,
    ("patch", "/workspaces/{workspace}"): {"owner"},
    ("get", "/workspaces/{workspace}/members"): {"owner", "admin"},
    ("post", "/workspaces/{workspace}/members"): {"owner", "admin"},
    ("patch", "/workspaces/{workspace}/members/{victor}"): {"owner", "admin"},
    ("delete", "/workspaces/{workspace}/members/{victor}"): {"owner", "admin"},
    ("get", "/workspaces/{workspace}/invitations"): {"owner", "admin"},
    ("delete", "/workspaces/{workspace}/invitations/{invitation}"): {"owner", "admin"},
    ("get", "/api_keys"): {"owner", "admin"},
    ("post", "/api_keys"): {"owner", "admin"},
    ("get", "/api_keys/{key}"): {"owner", "admin"},
    ("patch", "/api_keys/{key}"): {"owner", "admin"},
    ("delete", "/api_keys/{key}"): {"owner", "admin"},
    ("post", "/api_keys/{key}/rotate"): {"owner", "admin"},
    ("get", "/end_users"): READERS,
    ("get", "/usage"): {"owner", "admin"},
    ("get", "/holds"): COMPLIANCE,
    ("post", "/holds"): COMPLIANCE,
    ("get", "/exports"): COMPLIANCE,
    ("post", "/exports"): COMPLIANCE,
    ("get", "/retention_policies"): COMPLIANCE,
    ("post", "/retention_policies"): COMPLIANCE,
    ("patch", "/retention_settings"): COMPLIANCE,
    ("post", "/threads/{thread}/archive"): COMPLIANCE,
    ("get", "/erasures"): {"owner", "compliance"},
    ("post", "/erasures"): {"owner", "compliance"},
    ("get", "/audit_events"): {"owner", "compliance"},
    ("get", "/access_alerts"): {"owner", "compliance"},
}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("patch", "/agents/{agent}"): {"name": "Renamed"},
    ("patch", "/workspaces/{workspace}"): {"name": "Renamed"},
    ("post", "/workspaces/{workspace}/members"): {"user": "nora", "role": "viewer"},
    ("patch", "/workspaces/{workspace}/members/{victor}"): {"role": "member"},
    ("post", "/api_keys"): {"name": "x", "scopes": ["read"]},
    ("patch", "/api_keys/{key}"): {"name": "x"},
    ("post", "/holds"): {"scope": "external_ref", "external_ref": "nobody's", "reason": "A case."},
    ("post", "/exports"): {"format": "csv"},
    ("post", "/retention_policies"): {"action": "archive", "days": 90},
    ("patch", "/retention_settings"): {"trash_days": 3},
    ("post", "/erasures"): {"subject": "external_ref", "value": "somebody's"},
}


def test_nobody_gives_a_role_that_may_more_than_they_may(
    api: Api, owner: Api, tenant: Tenant, ada: User, alice: User, as_user: Any
) -> None:
    for asked in (as_user(ada), api):
        assert asked.patch(members(tenant, alice), {"role": "support"}).json()["role"] == "support"
        problem(asked.patch(members(tenant, alice), {"role": "compliance"}), 403, "permission_missing")
        problem(asked.post(members(tenant), {"user": "x", "role": "compliance"}), 403, "permission_missing")
    assert owner.patch(members(tenant, alice), {"role": "compliance"}).json()["role"] == "compliance"
    problem(as_user(ada).patch(members(tenant, alice), {"role": "member"}), 403, "permission_missing")
    problem(as_user(ada).delete(members(tenant, alice)), 403, "permission_missing")
    assert owner.post(members(tenant), {"user": "x", "role": "compliance"}).status_code == 201


@pytest.mark.parametrize("role", [role.value for role in Role])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: " ".join(route))
def test_a_role_may_do_what_the_table_says(
    route: tuple[str, str], role: str, api: Api, tenant: Tenant, victor: User, as_user: Any
) -> None:
    method, path = route
    person = make_user("person", tenant.workspace, Role(role))
    fields = {"external_ref": "somebody's"}
    filled = path.format(
        thread=api.post(f"/agents/{tenant.agent.wire_id}/threads", fields).json()["id"],
        agent=tenant.agent.wire_id,
        workspace=tenant.workspace.wire_id,
        victor=victor.wire_id,
        key=keys.create(workspace=tenant.workspace, user=tenant.owner, name="k", scopes=[Scope.READ])[0].wire_id,
        invitation=invite(api, tenant, "somebody")["id"],
    )
    response = getattr(as_user(person), method)(filled, BODIES.get(route, {}))
    assert (response.status_code < 300) == (role in ROUTES[route]), response.content
    if role not in ROUTES[route]:
        problem(response, 403, "permission_missing")


def test_nobody_voids_an_invitation_that_they_could_not_give(
    owner: Api, tenant: Tenant, ada: User, as_user: Any
) -> None:
    owner.post(members(tenant), {"user": "olga", "role": "compliance"})
    problem(as_user(ada).post(members(tenant), {"user": "olga", "role": "viewer"}), 403, "permission_missing")
    assert Invitation.objects.get(invitee="olga").role == "compliance"
    assert owner.post(members(tenant), {"user": "olga", "role": "viewer"}).status_code == 201
    assert Invitation.objects.get(invitee="olga").role == "viewer"


@pytest.mark.parametrize("role", [role.value for role in Role])
def test_limits_of_an_agent_are_for_members_and_viewers(role: str, api: Api, tenant: Tenant, as_user: Any) -> None:
    """Support people and compliance officers have to do with all conversations, as at the console."""
    thread = api.post(f"/agents/{tenant.agent.wire_id}/threads", {}).json()["id"]
    Agent.objects.filter(pk=tenant.agent.pk).update(limited=True)
    person = as_user(make_user("person", tenant.workspace, Role(role)))
    sees = role in READERS
    assert (person.get(f"/threads/{thread}").status_code == 200) == sees
    assert (person.get(f"/agents/{tenant.agent.wire_id}").status_code == 200) == sees
