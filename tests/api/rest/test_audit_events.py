"""`/audit_events`: what was done, for those who answer for the workspace."""

from typing import Any

import pytest

from tests.api.rest.conftest import fault, ids_of, new_thread, problem
from tests.conftest import Api, Tenant
from threadhub.audit.models import AuditEvent
from threadhub.lib import ids


def test_an_event_tells_who_did_what_when_and_from_where(api: Api, tenant: Tenant) -> None:
    thread = api.post(
        f"/agents/{tenant.agent.wire_id}/threads", {}, headers={"User-Agent": "curl/8"}, REMOTE_ADDR="192.0.2.7"
    ).json()
    row = api.get("/audit_events?action=thread.create").json()["data"][0]
    stored = AuditEvent.objects.get(action="thread.create")
    assert row == {
        "id": stored.wire_id,
        "created_at": row["created_at"],
        "actor": ids.encode("key", tenant.actor.key_id),
        "on_behalf_of": tenant.owner.wire_id,
        "action": "thread.create",
        "ids": [thread["id"]],
        "details": {},
        "origin": {
            "face": "rest",
            "address": "192.0.2.7",
            "user_agent": "curl/8",
            "request_id": stored.request_id,
        },
        "seq": None,
        "hash": None,
    }
    assert stored.request_id


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [("198.51.100.9", "198.51.100.9"), ("203.0.113.1, 198.51.100.9", "198.51.100.9"), ("", "10.0.0.2")],
)
def test_the_address_is_named_by_trusted_proxies_only(
    forwarded: str, expected: str, api: Api, tenant: Tenant, settings: Any
) -> None:
    from threadhub.lib import client_address

    def address() -> str | None:
        headers = {"X-Forwarded-For": forwarded}
        api.post(f"/agents/{tenant.agent.wire_id}/threads", {}, headers=headers, REMOTE_ADDR="10.0.0.2")
        return AuditEvent.objects.filter(action="thread.create").latest("created_at").address

    assert address() == "10.0.0.2"
    settings.TRUSTED_PROXIES = client_address.networks(["10.0.0.0/8"])
    assert address() == expected


def test_it_is_filtered(api: Api, tenant: Tenant) -> None:
    first, second = new_thread(api, tenant), new_thread(api, tenant)
    api.delete(f"/threads/{first['id']}")
    assert len(ids_of(api.get(f"/audit_events?id={first['id']}"))) == 2
    assert len(ids_of(api.get(f"/audit_events?id={second['id']}"))) == 1
    assert len(ids_of(api.get("/audit_events?action=thread.delete"))) == 1
    key = ids.encode("key", tenant.actor.key_id)
    assert len(ids_of(api.get(f"/audit_events?actor={key}"))) == 3
    assert ids_of(api.get("/audit_events?date_to=2000-01-01")) == []
    assert len(ids_of(api.get(f"/audit_events?actor={key}&date_from=2000-01-01"))) == 3
    assert "date" in fault(api.get("/audit_events?date_from=yesterday"), "query", "date_from")


def test_it_is_followed_by_cursor(api: Api, tenant: Tenant) -> None:
    for _ in range(4):
        new_thread(api, tenant)
    page = api.get("/audit_events?action=thread.create&take=3").json()
    assert page["has_more"]
    rest = api.get(page["next"].removeprefix("http://testserver")).json()
    assert len(rest["data"]) == 1


def test_only_those_who_answer_for_the_workspace_see_it(
    api: Api, tenant: Tenant, alice: Any, victor: Any, as_user: Any, mallorys: Api
) -> None:
    thread = new_thread(api, tenant)
    for user in (alice, victor):
        problem(as_user(user).get("/audit_events"), 403, "permission_missing")
    assert len(ids_of(as_user(tenant.owner).get("/audit_events"))) > 0
    assert ids_of(mallorys.get(f"/audit_events?id={thread['id']}")) == []


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_changes_it(method: str, api: Api) -> None:
    problem(getattr(api, method)("/audit_events"), 405, "method_not_allowed")


def test_the_audit_list_is_not_counted(api: Api, tenant: Tenant) -> None:
    for _ in range(3):
        new_thread(api, tenant)
    page = api.get("/audit_events?take=2").json()
    assert page.keys() == {"has_more", "next", "previous", "data"}
    assert page["has_more"]
    following = api.get(page["next"].removeprefix("http://testserver")).json()
    assert following["previous"]
    assert not {row["id"] for row in page["data"]} & {row["id"] for row in following["data"]}
