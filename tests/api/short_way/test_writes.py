"""What is written by the short way is as by the whole one, and once."""

import json
from typing import Any

import pytest
from django.utils import timezone

from tests.api.short_way.asking import Asking, both
from tests.conftest import Tenant
from threadhub.audit.models import AuditEvent
from threadhub.short_way import GoneWrong, Plain
from threads.actions import at_once
from threads.lifecycle import acts
from threads.models import Message, Thread

NEW_THREADS = (
    {"title": "new", "metadata": {"a": 1}},
    {"title": "new", "external_ref": "order-1"},
    {"title": "x" * 1000},
    {"unknown": 1},
    {"metadata": []},
    b"{",
    b"[]",
    b'{"title": "\\u0000"}',
)
NEW_MESSAGES = (
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "hello", "title": "t", "name": "n"},
    {"role": "nobody", "content": "hello"},
    {"role": "user"},
    {"content": 1, "role": "user"},
    b"{",
    b" ",
)


def test_a_condition_of_a_write_is_no_matter(asking: Asking, tenant: Tenant) -> None:
    path, before = f"/agents/{tenant.agent.wire_id}/threads", Thread.objects.count()
    for known in ("*", '"a"'):
        whole, short = both(
            asking,
            lambda: asking("POST", path, {"title": "x"}),
            lambda known=known: asking("POST", path, {"title": "x"}, if_none_match=known),
        )
        assert isinstance(short.short, Plain)
        assert short.status == 200
        assert short.comparable() == whole.comparable()
    assert Thread.objects.count() == before + 6


@pytest.mark.parametrize("body", NEW_THREADS, ids=str)
def test_a_new_thread_is_answered_the_same(asking: Asking, tenant: Tenant, body: Any) -> None:
    path = f"/agents/{tenant.agent.wire_id}/threads"
    whole, short = both(asking, lambda: asking("POST", path, {"title": "x"}), lambda: asking("POST", path, body))
    assert short.short is not None
    assert short.comparable() == whole.comparable()


@pytest.mark.parametrize("body", NEW_MESSAGES, ids=str)
def test_a_new_message_is_answered_the_same(asking: Asking, thread: Thread, body: Any) -> None:
    path = f"/threads/{thread.wire_id}/messages"
    plain = {"role": "user", "content": "x"}
    whole, short = both(asking, lambda: asking("POST", path, plain), lambda: asking("POST", path, body))
    assert short.short is not None
    assert short.comparable() == whole.comparable()


def test_a_message_to_an_archived_thread_is_refused_the_same(asking: Asking, thread: Thread, tenant: Tenant) -> None:
    other = Thread.objects.exclude(pk=thread.pk).first()
    assert other is not None
    acts.archive(actor=tenant.actor, thread=other, now=timezone.now())
    plain = {"role": "user", "content": "x"}
    whole, short = both(
        asking,
        lambda: asking("POST", f"/threads/{thread.wire_id}/messages", plain),
        lambda: asking("POST", f"/threads/{other.wire_id}/messages", plain),
    )
    assert isinstance(short.short, GoneWrong)
    assert short.status == 409
    assert short.comparable() == whole.comparable()


def test_an_idempotent_request_has_one_effect(asking: Asking, tenant: Tenant) -> None:
    path = f"/agents/{tenant.agent.wire_id}/threads"
    asking("POST", path, {"title": "a"})
    first = asking("POST", path, {"title": "a"}, idempotency_key="one")
    again = asking("POST", path, {"title": "a"}, idempotency_key="one")
    assert (first.short, again.short) == (None, None)
    assert json.loads(first.body)["id"] == json.loads(again.body)["id"]


def test_the_audit_trail_says_from_where(asking: Asking, thread: Thread) -> None:
    path = f"/threads/{thread.wire_id}/messages"
    for _ in range(3):
        made = asking("POST", path, {"role": "user", "content": "x"}, user_agent="curl/8")
    assert isinstance(made.short, Plain)
    *_, whole, one, another = AuditEvent.objects.filter(action="message.append").order_by("id")
    assert {(each.address, each.user_agent, each.face) for each in (whole, one, another)} == {
        ("127.0.0.1", "curl/8", "rest")
    }
    assert len({whole.request_id, one.request_id, another.request_id}) == 3
    assert all(each.request_id for each in (one, another))


def test_what_fails_after_its_effect_is_not_done_again(
    asking: Asking, thread: Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/threads/{thread.wire_id}/messages"
    asking("POST", path, {"role": "user", "content": "x"})
    before = Message.objects.count()
    append = at_once.append

    def failing(**arguments: Any) -> None:
        append(**arguments)
        raise RuntimeError("after the commit")

    monkeypatch.setattr(at_once, "append", failing)
    answer = asking("POST", path, {"role": "user", "content": "x"})
    assert isinstance(answer.short, GoneWrong)
    assert answer.status == 500
    assert json.loads(answer.body)["code"] == "internal_error"
    assert Message.objects.count() == before + 1
