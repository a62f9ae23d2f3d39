"""Statements that write all of a row by themselves say what the models say."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from tests.conftest import Tenant
from tests.threads.conftest import ask
from threads import access
from threads.actions import messages as appending
from threads.actions.messages import Draft
from threads.models import Message, Run, RunEvent, Thread
from threads.runs import answer, end, events, sql

pytestmark = pytest.mark.django_db(transaction=True)

AT = datetime(2024, 2, 29, 12, 30, 0, 123456, tzinfo=UTC)
CHANGED: dict[str, Any] = {
    "status": "requires_action",
    "attempt": 3,
    "input": [{"content": 'später ☂ \\ "', "n": 1e-7, "big": 2**70}],
    "required_action": {"tool_calls": [], "approvals": [{"id": "é"}]},
    "waiting": True,
    "error_code": "rate_limited",
    "error_message": 'It\'s "too" much\n%s',
    "finish_reason": "length",
    "input_tokens": 2**31 - 1,
    "output_tokens": 5,
    "cached_tokens": 4,
    "cost": Decimal("0.000000000001"),
    "unpriced": 2,
    "estimated": 1,
    "started_at": AT,
    "finished_at": AT + timedelta(microseconds=1),
}
DRAFTS: list[dict[str, Any]] = [
    {"role": "user", "content": "a\tb\n\"c\" \\ 'd' %s ☂ 𝄞 \u2028", "sent_at": AT, "extra": {"k": [1.5, None, 1e-7]}},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "name": "f", "arguments": {"x": 2**70}}]},
    {"role": "tool", "tool_call_id": "1", "name": "f", "tool_result": {"deep": [{"er": True}], "é": ""}},
    {"role": "assistant", "content": "", "kind": "image", "title": "", "partial": True, "author": "user:1",
     "usage": {"cost": "0.1", "input_tokens": 1}, "tool_result": 0},
    {"role": "tool", "tool_result": 'a "b" null', "name": "null", "run_id": UUID(int=7)},
    {"role": "tool", "tool_result": "null", "content": "null"},
    {"role": "tool", "tool_result": False},
    {"role": "user", "content": "x" * 300_000},
]  # fmt: skip


def locked(run: Run) -> Run:
    return Run.objects.select_for_update().get(pk=run.pk)


@pytest.mark.parametrize("changed", [CHANGED, dict.fromkeys(("input", "required_action", "cost", "finished_at"))])
def test_a_run_is_saved_as_its_model_has_it(tenant: Tenant, thread: Thread, changed: dict[str, Any]) -> None:
    other = ask(tenant, thread, "the one before")
    end.cancel(actor=tenant.actor, run=other, now=timezone.now())
    run = ask(tenant, thread, "hi")
    before = Run.objects.filter(pk=run.pk).values().get()
    with transaction.atomic():
        row = locked(run)
        for name, value in changed.items():
            setattr(row, name, value)
        end.save(row, [(events.ERROR, {"code": "é"}), (events.MESSAGE_STOP, {})])
    after = Run.objects.filter(pk=run.pk).values().get()
    assert after == {**before, **changed, "last_seq": 3}
    told = RunEvent.objects.filter(run_id=run.pk).order_by("seq").values_list("seq", "type", "data")
    begins = {"message_id": str(run.answer_id), "model": run.model}
    assert list(told) == [(1, events.MESSAGE_START, begins), (2, events.ERROR, {"code": "é"}), (3, "message_stop", {})]


def test_every_column_that_a_run_has_is_saved_or_said_not_to_be() -> None:
    stays = {
        "thread_id", "agent_id", "number", "branch", "user_id", "session_id", "provider", "model", "options",
        "enabled_tools", "ignored_tools", "continues", "continued_by", "answer_id", "replay", "created_at",
    }  # fmt: skip
    assert {*CHANGED, "id", "workspace_id", "last_seq"} == set(sql.SAVED)
    by_others = {"context", "refused_tools", "lease_expires_at"}  # statements of their own, the database's clock
    columns = {field.column for field in Run._meta.concrete_fields}
    assert columns == {*sql.SAVED, *stays, *by_others}


def test_messages_are_stored_as_their_model_has_them(tenant: Tenant, thread: Thread) -> None:
    drafts = [Draft(**draft) for draft in DRAFTS]
    with transaction.atomic():
        stored = appending.store(thread=thread, drafts=drafts)
    assert [message.position for message in stored] == list(range(1, len(DRAFTS) + 1))
    names = [field.attname for field in Message._meta.concrete_fields]
    rows = list(Message.objects.filter(thread=thread).order_by("position").values(*names))
    assert rows == [{name: getattr(message, name) for name in names} for message in stored]
    thread.refresh_from_db()
    assert (thread.last_position, thread.message_count, thread.last_activity_at) == (
        len(DRAFTS),
        len(DRAFTS),
        stored[0].created_at,
    )


def test_every_column_of_a_message_is_stored_or_begins_as_the_table_says() -> None:
    assert {*set[str]().union(*DRAFTS), "id"} == set(appending.KEPT)
    placed = {"workspace_id", "thread_id", "position", "created_at", "updated_at"}
    columns = {field.column for field in Message._meta.concrete_fields}
    assert columns == {*appending.KEPT, *placed, "searchable"}


def test_a_run_that_is_not_there_is_not_saved(tenant: Tenant, thread: Thread) -> None:
    run = ask(tenant, thread, "hi")
    Run.objects.filter(pk=run.pk).delete()
    with pytest.raises(DatabaseError, match="no run"):
        end.save(run, [(events.MESSAGE_STOP, {})])
    assert not RunEvent.objects.filter(run_id=run.pk).exists()


def test_an_archived_thread_takes_no_message(tenant: Tenant, thread: Thread) -> None:
    Thread.objects.filter(pk=thread.pk).update(state="archived")
    with pytest.raises(access.ThreadArchived), transaction.atomic():
        appending.store(thread=thread, drafts=[Draft(role="user", content="x")])
    assert not Message.objects.filter(thread=thread).exists()


@pytest.mark.parametrize("statement", [answer._running, answer._queued])
def test_threads_are_locked_before_their_runs(statement: Any) -> None:
    with transaction.atomic():
        text = statement._make().sql
    assert text.endswith('FOR UPDATE OF "threads_thread", "threads_run"')
