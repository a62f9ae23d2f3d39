"""What hot requests answer straight from rows is what the serializers say, byte for byte."""

from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.conftest import Api, Tenant
from threadhub.api.rest.representations import from_rows
from threadhub.api.rest.representations.messages import versions
from threadhub.api.rest.representations.threads import ThreadRepresentation, ThreadWithMessages
from threadhub.lib import ids, json
from threads import branches
from threads.actions import messages as appending
from threads.actions import threads as actions
from threads.actions.messages import Draft
from threads.attachments import Upload
from threads.lifecycle import acts, holds
from threads.models import Message, Thread

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e15, 1e15) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
CALL = st.fixed_dictionaries({"id": TEXT, "name": TEXT, "arguments": OBJECT})
USAGE = st.fixed_dictionaries(
    {"input_tokens": st.integers(0, 9), "output_tokens": st.integers(0, 9), "cached_tokens": st.none(), "cost": TEXT}
)
MESSAGE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(Message.Role.values),
        "kind": st.sampled_from(Message.Kind.values),
        "content": st.none() | TEXT,
        "title": st.none() | TEXT,
        "name": st.none() | TEXT,
        "tool_calls": st.none() | st.lists(CALL, max_size=2),
        "tool_call_id": st.none() | TEXT,
        "tool_result": JSON,
        "extra": OBJECT,
        "run_id": st.none() | st.uuids(),
        "partial": st.booleans(),
        "usage": st.none() | USAGE,
        "author": st.sampled_from(["", "user:somebody"]),
        "created_at": st.datetimes(
            min_value=timezone.datetime(1970, 1, 1), timezones=st.just(timezone.get_default_timezone())
        ),
    }
)


def by_serializer(thread: Thread, context: dict[str, Any]) -> bytes:
    found = Thread.objects.with_messages().get(pk=thread.pk)
    return json.dumps(ThreadWithMessages(found, context=dict(context)).data)


def from_its_rows(thread: Thread, context: dict[str, Any]) -> bytes:
    return json.dumps(from_rows.threads_with_messages([Thread.objects.get(pk=thread.pk)], context)[0])


def make(tenant: Tenant, **fields: Any) -> Thread:
    return actions.create(actor=tenant.actor, agent_id=tenant.agent.pk, now=timezone.now(), **fields)


@pytest.mark.parametrize("threads_path", ["/threads", "/chat_sessions/session_x/threads"])
@settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(messages=st.lists(MESSAGE, max_size=4), metadata=OBJECT, title=st.none() | TEXT)
def test_any_thread_reads_the_same(
    tenant: Tenant, threads_path: str, messages: list[dict[str, Any]], metadata: dict[str, Any], title: str | None
) -> None:
    thread = make(tenant, title=title, metadata=metadata, external_ref=title)
    rows = [
        Message(workspace_id=thread.workspace_id, thread=thread, position=number, updated_at=timezone.now(), **fields)
        for number, fields in enumerate(messages, start=1)
    ]
    Message.objects.bulk_create(rows)
    context = {"threads_path": threads_path}
    assert from_its_rows(thread, context) == by_serializer(thread, context)


def test_files_read_the_same(tenant: Tenant) -> None:
    thread = make(tenant)
    uploads = [
        [Upload("a.pdf", "application/pdf", b"a")],
        [Upload("a.pdf", "application/pdf", b"a"), Upload("b.txt", "text/plain", b"b")],
        [Upload("c.png", "image/png", b"c")],
        [],
    ]
    kinds = ["document", "document", "image", "text"]
    drafts = [Draft(role="user", content="x", kind=kind, uploads=own) for kind, own in zip(kinds, uploads, strict=True)]
    appending.append(actor=tenant.actor, thread=thread, drafts=drafts)
    shown = from_its_rows(thread, {})
    assert shown == by_serializer(thread, {})
    assert [len(each["documents"]) for each in json.loads(shown)["messages"]] == [1, 2, 1, 0]


def test_a_forked_thread_reads_the_same(tenant: Tenant) -> None:
    thread = make(tenant)
    appending.append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content=str(n)) for n in range(4)])
    thread.refresh_from_db()
    branches.fork(thread=thread, before=3, actor=tenant.actor, now=timezone.now())
    appending.append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="instead")])
    thread.refresh_from_db()
    context = versions(thread, thread.branch)
    shown = from_its_rows(thread, context)
    assert shown == by_serializer(thread, context)
    assert [each["content"] for each in json.loads(shown)["messages"]] == ["0", "1", "instead"]


def test_an_archived_thread_reads_the_same_beside_a_live_one(tenant: Tenant) -> None:
    live, archived = make(tenant), make(tenant)
    for thread in (live, archived):
        appending.append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="hello")])
    acts.archive(actor=tenant.actor, thread=archived, now=timezone.now())
    found = [Thread.objects.get(pk=thread.pk) for thread in (archived, live)]
    shown = from_rows.threads_with_messages(found, {})
    assert [json.dumps(each) for each in shown] == [by_serializer(thread, {}) for thread in (archived, live)]


def test_policies_and_holds_read_the_same(tenant: Tenant) -> None:
    kept, held = make(tenant), make(tenant)
    holds.place(actor=tenant.actor, scope="thread", target_id=held.pk, reason="a suit", now=timezone.now())
    found = list(Thread.objects.order_by("id"))
    shown = from_rows.threads(found)
    assert json.dumps(shown) == json.dumps(ThreadRepresentation(found, many=True).data)
    assert {each["id"]: each["held"] for each in shown} == {kept.wire_id: False, held.wire_id: True}


def test_a_thread_is_read_with_its_messages_by_one_statement(
    tenant: Tenant, api: Api, django_assert_num_queries: Any
) -> None:
    """And one for the key."""
    thread = make(tenant)
    drafts = [Draft(role="user", content=str(number)) for number in range(30)]
    appending.append(actor=tenant.actor, thread=thread, drafts=drafts)
    path = f"/threads/{thread.wire_id}"
    assert api.get(path).status_code == 200
    with django_assert_num_queries(2):
        assert len(api.get(path).json()["messages"]) == 30


def test_ids_are_spelled_as_before() -> None:
    for value in (0, 1, 2**128 - 1, ids.new().int):
        wire = ids.encode("x", UUID(int=value))
        assert ids.decode("x", wire).int == value
