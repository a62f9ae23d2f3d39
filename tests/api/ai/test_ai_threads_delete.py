"""DELETE /api/ai/threads/{id}"""

from typing import Any

import pytest

from tests.api.ai.conftest import new_thread
from tests.conftest import Api, Tenant
from threadhub.workspaces import keys
from threadhub.workspaces.models import User
from threadhub.workspaces.permissions import Scope
from threads.actions.messages import Draft, append
from threads.models import Message, Thread


def test_it_removes_the_thread_and_its_messages(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    append(actor=tenant.actor, thread=Thread.objects.get(), drafts=[Draft(role="user", content="Hi")])
    kept = new_thread(api, tenant)
    response = api.delete(f"/api/ai/threads/{thread_id}?")
    assert (response.status_code, response.json()) == (200, {"success": True})
    assert api.get(f"/api/ai/threads/{thread_id}").status_code == 404
    assert [thread["_id"] for thread in api.get("/api/ai/threads").json()] == [kept]
    assert not Message.objects.exists()


def test_a_second_time_it_is_not_found(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    api.delete(f"/api/ai/threads/{thread_id}")
    response = api.delete(f"/api/ai/threads/{thread_id}")
    assert (response.status_code, response.json()["error"]) == (404, "Thread not found")


@pytest.mark.parametrize("who", ["mallory", "victor", "nobody", "owner as anybody else"])
def test_others_cannot(
    tenant: Tenant, other_tenant: Tenant, alice: User, victor: User, mallory: User, as_user: Any, who: str
) -> None:
    thread_id = new_thread(as_user(alice), tenant)
    expected = {"mallory": 404, "victor": 403, "nobody": 401, "owner as anybody else": 404}[who]
    query = "?bypassAdmin=true" if who.startswith("owner") else ""
    user = {"mallory": mallory, "victor": victor, "owner as anybody else": tenant.owner}.get(who)
    api = as_user(user) if user else Api()
    assert api.delete(f"/api/ai/threads/{thread_id}{query}").status_code == expected
    assert as_user(alice).get(f"/api/ai/threads/{thread_id}").status_code == 200


def test_a_key_that_only_reads_cannot(api: Api, tenant: Tenant) -> None:
    _, secret = keys.create(workspace=tenant.workspace, user=tenant.owner, name="reader", scopes=[Scope.READ])
    thread_id = new_thread(api, tenant)
    assert Api(secret).delete(f"/api/ai/threads/{thread_id}").status_code == 403
    assert Thread.objects.exists()
