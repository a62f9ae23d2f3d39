"""GET /api/ai/threads/{id}"""

from typing import Any

import pytest
from django.utils import timezone

from tests.api.ai.conftest import new_thread
from tests.clients.shapes import is_time
from tests.conftest import Api, Tenant
from threadhub.lib import ids
from threadhub.workspaces.models import Membership, User
from threads.actions.messages import Draft, append, delete
from threads.models import Message, Summary, Thread

NO_THREAD = "thread_01jaaaaaaaaaaaaaaaaaaaaaaa"
CALL = {"id": "call_1", "name": "current_time", "arguments": {"zone": "UTC"}}


def thread_of(wire_id: str) -> Thread:
    return Thread.objects.get(pk=ids.decode(Thread.PREFIX, wire_id))


def put(tenant: Tenant, wire_id: str, *drafts: Draft) -> list[Message]:
    return append(actor=tenant.actor, thread=thread_of(wire_id), drafts=drafts)


def without_id(response: Any) -> dict[str, Any]:
    return {name: value for name, value in response.json().items() if name != "requestId"}


def test_it_has_all_messages_in_order(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant, title="Orders")
    user, answer = put(tenant, thread_id, Draft(role="user", content="Hello!"), Draft(role="assistant", content="Hi!"))
    thread = api.get(f"/api/ai/threads/{thread_id}").json()
    assert (thread["_id"], thread["title"], thread["messageSummaries"]) == (thread_id, "Orders", [])
    assert all(is_time(message["timestamp"]) for message in thread["messages"])
    assert [{**message, "timestamp": ""} for message in thread["messages"]] == [
        {"role": "user", "content": "Hello!", "timestamp": "", "message_id": user.wire_id},
        {"role": "assistant", "content": "Hi!", "timestamp": "", "message_id": answer.wire_id},
    ]
    assert thread["updated"] >= thread["created"]


def test_tool_turns_are_in_openais_form(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    result = {"time": "12:00"}
    calling = Draft(role="assistant", content=None, tool_calls=[CALL])
    put(tenant, thread_id, calling, Draft(role="tool", name="current_time", tool_call_id="call_1", tool_result=result))
    called, answered = api.get(f"/api/ai/threads/{thread_id}").json()["messages"]
    function = {"name": "current_time", "arguments": '{"zone":"UTC"}'}
    assert called["tool_calls"] == [{"id": "call_1", "type": "function", "function": function}]
    assert called["content"] == ""
    assert (answered["tool_call_id"], answered["name"], answered["content"]) == (
        "call_1",
        "current_time",
        '{"time":"12:00"}',
    )


def test_extra_keys_come_back_as_sent_and_cannot_stand_for_others(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    extra = {"type": "text", "filename": "a.txt", "nested": {"a": [1, None]}, "role": "system", "timestamp": "never"}
    put(tenant, thread_id, Draft(role="user", content="Hello", extra=extra))
    (message,) = api.get(f"/api/ai/threads/{thread_id}").json()["messages"]
    assert (message["type"], message["filename"], message["nested"]) == ("text", "a.txt", {"a": [1, None]})
    assert message["role"] == "user"
    assert is_time(message["timestamp"])


def test_summaries_are_inclusive_indexes_into_messages(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    messages = put(tenant, thread_id, *[Draft(role="user", content=str(number)) for number in range(6)])
    thread = thread_of(thread_id)
    delete(actor=tenant.actor, thread=thread, message=messages[0], now=timezone.now())  # positions from 2 on are left
    common = {"workspace": tenant.workspace, "thread": thread}
    Summary.objects.create(from_position=2, to_position=3, text="1 and 2", **common)
    Summary.objects.create(from_position=4, to_position=6, text="3 to 5", **common)
    whole = api.get(f"/api/ai/threads/{thread_id}").json()
    assert whole["messageSummaries"] == [
        {"fromIndex": 0, "toIndex": 1, "summary": "1 and 2"},
        {"fromIndex": 2, "toIndex": 4, "summary": "3 to 5"},
    ]
    assert [message["content"] for message in whole["messages"][2:5]] == ["3", "4", "5"]


def test_a_long_thread_takes_as_many_queries_as_a_short_one(
    api: Api, tenant: Tenant, django_assert_num_queries: Any
) -> None:
    thread_id = new_thread(api, tenant)
    put(tenant, thread_id, *[Draft(role="user", content=str(number)) for number in range(50)])
    # the key with its user; the thread with its agent; its messages; its summaries
    with django_assert_num_queries(4):
        assert len(api.get(f"/api/ai/threads/{thread_id}").json()["messages"]) == 50


@pytest.mark.parametrize("spelling", ["nonsense", NO_THREAD, "%00", "66d0c0ffee66d0c0ffee66d0", "thread_", "тред"])
def test_malformed_absent_and_foreign_ids_answer_alike(
    api: Api, tenant: Tenant, mallory: User, other_tenant: Tenant, as_user: Any, spelling: str
) -> None:
    theirs = new_thread(as_user(mallory), other_tenant)
    foreign = api.get(f"/api/ai/threads/{theirs}")
    absent = api.get(f"/api/ai/threads/{spelling}")
    assert foreign.status_code == absent.status_code == 404
    assert without_id(foreign) == without_id(absent)
    assert without_id(absent) == {
        "error": "Thread not found",
        "message": "Thread not found",
        "code": "thread_not_found",
    }


def test_other_spellings_of_an_id_are_not_found(api: Api, tenant: Tenant) -> None:
    thread_id = new_thread(api, tenant)
    for spelling in (thread_id.upper(), thread_id.removeprefix("thread_"), f"{thread_id}0", f" {thread_id}"):
        assert api.get(f"/api/ai/threads/{spelling}").status_code == 404
    assert api.get(f"/api/ai/threads/{thread_id}").status_code == 200


def test_a_member_sees_their_own_only_and_an_admin_all(
    api: Api, tenant: Tenant, alice: User, victor: User, as_user: Any
) -> None:
    path = f"/api/ai/threads/{new_thread(as_user(alice), tenant)}"
    assert as_user(alice).get(path).status_code == 200
    assert as_user(victor).get(path).status_code == 404
    assert as_user(tenant.owner).get(path).status_code == 200
    assert api.get(path).status_code == 200


@pytest.mark.parametrize(
    ("query", "headers"),
    [("?bypassAdmin=true", {}), ("?bypassAdmin=True", {}), ("", {"x-bypass-admin": "true"})],
)
def test_an_admin_may_ask_as_anybody_else(
    tenant: Tenant, alice: User, as_user: Any, query: str, headers: dict[str, str]
) -> None:
    admin = as_user(tenant.owner)
    path = f"/api/ai/threads/{new_thread(as_user(alice), tenant)}"
    own = f"/api/ai/threads/{new_thread(admin, tenant)}"
    assert admin.get(path + query, headers=headers).status_code == 404
    assert admin.get(own + query, headers=headers).status_code == 200
    assert admin.get(path + "?bypassAdmin=false").status_code == 200


def test_who_left_the_workspace_sees_nothing_more(tenant: Tenant, alice: User, as_user: Any) -> None:
    api = as_user(alice)
    path = f"/api/ai/threads/{new_thread(api, tenant)}"
    Membership.objects.filter(user=alice).delete()
    assert api.get(path).status_code == 403
