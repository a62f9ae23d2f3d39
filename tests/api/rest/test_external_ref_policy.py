"""An external_ref that looks like personal data is let in, warned about or refused, as the workspace says."""

from typing import Any

import pytest

from tests.api.rest.conftest import open_session, problem
from tests.conftest import Api, Tenant
from threadhub.audit.models import AuditEvent
from threadhub.workspaces.models import Workspace
from threads.models import Thread

MAIL = "alice@example.org"
HEADER = "Threadhub-Warning"


def policy(tenant: Tenant, value: str) -> None:
    Workspace.objects.filter(pk=tenant.workspace.pk).update(external_ref_policy=value)


def ways(api: Api, tenant: Tenant, reference: str) -> list[Any]:
    """Every way to bring a reference in."""
    agent = tenant.agent.wire_id
    return [
        api.post(f"/agents/{agent}/threads", {"external_ref": reference}),
        api.put(f"/agents/{agent}/threads/by-ref/{reference}2"),
        api.post("/chat_sessions", {"agent_id": agent, "external_ref": reference}),
    ]


def test_it_warns_unless_told_otherwise(api: Api, tenant: Tenant) -> None:
    for response in ways(api, tenant, MAIL):
        assert response.status_code in (200, 201), response.content
        assert response[HEADER] == "external_ref_sensitive; kind=email"
    warned = AuditEvent.objects.filter(action="external_ref.warn")
    assert [event.details for event in warned] == [{"looks_like": "email"}] * 3
    assert MAIL not in str(list(AuditEvent.objects.values()))


def test_it_refuses_where_told_so_and_stores_nothing(api: Api, tenant: Tenant) -> None:
    policy(tenant, "refuse")
    for response in ways(api, tenant, MAIL):
        body = problem(response, 422, "external_ref_sensitive")
        assert "an e-mail address" in body["detail"]
        assert MAIL not in response.content.decode()
    assert not Thread.objects.exists()


def test_it_lets_everything_in_where_told_so(api: Api, tenant: Tenant) -> None:
    policy(tenant, "allow")
    for response in ways(api, tenant, MAIL):
        assert response.status_code in (200, 201)
        assert HEADER not in response
    assert not AuditEvent.objects.filter(action="external_ref.warn").exists()


@pytest.mark.parametrize("reference", ["ticket_12345", "session_user_67890", "01a21406-6607-742d-8b91-82eeb90d6eaa"])
def test_ids_pass_without_a_word(reference: str, api: Api, tenant: Tenant) -> None:
    policy(tenant, "refuse")
    for response in ways(api, tenant, reference):
        assert response.status_code in (200, 201)
        assert HEADER not in response


def test_a_thread_that_is_there_is_found_under_any_policy(api: Api, tenant: Tenant) -> None:
    path = f"/agents/{tenant.agent.wire_id}/threads/by-ref/{MAIL}"
    first = api.put(path).json()
    policy(tenant, "refuse")
    assert api.put(path).json()["id"] == first["id"]


def test_a_visitor_is_not_warned_of_what_the_server_chose(api: Api, tenant: Tenant) -> None:
    session = open_session(api, tenant, MAIL)
    visitor = Api(session["chat_token"])
    response = visitor.post(f"/chat_sessions/{session['id']}/threads")
    assert response.status_code == 200
    assert HEADER not in response
