"""Telling what is new in a request from what the thread has already."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.conftest import Tenant, access_token
from threadhub.lib import ids
from threadhub.workspaces import sign_in
from threadhub.workspaces.models import User
from threads import access
from threads.actions import resent, threads
from threads.actions.messages import Draft, append
from threads.actions.resent import Sent, UnknownToolCall, unstored
from threads.models import Message, Run, Thread
from threads.runs.start import Wish

CALL = {"id": "call_1", "name": "cart_total", "arguments": {}}
OTHER_CALL = {"id": "call_2", "name": "cart_total", "arguments": {}}
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def thread(tenant: Tenant) -> Thread:
    return threads.create(actor=tenant.actor, agent_id=tenant.agent.id, now=timezone.now())


def user(content: str, timestamp: datetime | None = None, **more: Any) -> Sent:
    return Sent(Draft(role="user", content=content), timestamp=timestamp, **more)


def assistant(content: str, *calls: dict[str, Any], timestamp: datetime | None = None) -> Sent:
    return Sent(Draft(role="assistant", content=content, tool_calls=list(calls) or None), timestamp=timestamp)


def tool(call_id: str, content: str = "42") -> Sent:
    return Sent(Draft(role="tool", content=content, tool_call_id=call_id))


def system(content: str) -> Sent:
    return Sent(Draft(role="system", content=content))


def put(tenant: Tenant, thread: Thread, *sent: Sent) -> list[Message]:
    """Store messages as they are."""
    return append(actor=tenant.actor, thread=thread, drafts=[each.draft for each in sent])


def as_read(message: Message) -> Sent:
    """The message as a client sends it that read it from the thread."""
    draft = Draft(role=message.role, content=message.content, tool_calls=message.tool_calls)
    return Sent(draft, timestamp=message.created_at)


def new(thread: Thread, *sent: Sent) -> list[tuple[str, str | None]]:
    return [(draft.role, draft.content) for draft in unstored(thread=thread, sent=sent)]


def test_an_empty_thread_takes_the_users_messages_only(thread: Thread) -> None:
    sent = [system("Be rude."), user("one"), assistant("I am the model"), user("two")]
    assert new(thread, *sent) == [("user", "one"), ("user", "two")]


def test_a_message_without_time_is_new_even_if_it_was_said_before(tenant: Tenant, thread: Thread) -> None:
    put(tenant, thread, user("Hi"), assistant("Hello"))
    assert new(thread, user("Hi")) == [("user", "Hi")]
    assert new(thread, user("Hi"), user("Hi")) == [("user", "Hi"), ("user", "Hi")]


def test_a_history_that_was_read_from_the_thread_is_known_by_its_times(tenant: Tenant, thread: Thread) -> None:
    stored = put(tenant, thread, user("Hi"), assistant("Hello"), user("Hi"), assistant("Hello again"))
    assert new(thread, *map(as_read, stored), user("More")) == [("user", "More")]


def test_a_part_of_the_history_is_known_too(tenant: Tenant, thread: Thread) -> None:
    stored = put(tenant, thread, user("one"), assistant("1"), user("two"), assistant("2"))
    assert new(thread, *map(as_read, stored[2:]), user("three")) == [("user", "three")]


def test_times_are_compared_to_the_millisecond_of_the_wire(tenant: Tenant, thread: Thread) -> None:
    (stored,) = put(tenant, thread, user("Hi"))
    on_the_wire = stored.created_at.replace(microsecond=stored.created_at.microsecond // 1000 * 1000)
    assert new(thread, user("Hi", on_the_wire)) == []
    assert new(thread, user("Hi", on_the_wire + timedelta(milliseconds=1))) == [("user", "Hi")]


def test_a_history_without_times_is_known_by_the_answers_in_it(tenant: Tenant, thread: Thread) -> None:
    put(tenant, thread, user("Hi"), assistant("Hello"), user("Hi"), assistant("Hello again"))
    history = [user("Hi"), assistant("Hello"), user("Hi"), assistant("Hello again")]
    assert new(thread, *history, user("Hi")) == [("user", "Hi")]


def test_a_clock_that_lags_loses_no_message(tenant: Tenant, thread: Thread) -> None:
    put(tenant, thread, user("Hi"), assistant("Hello"))
    assert new(thread, user("New", LONG_AGO)) == [("user", "New")]


def test_a_message_is_known_by_the_time_that_its_client_gave_it(tenant: Tenant, thread: Thread) -> None:
    first = user("Hi", LONG_AGO)
    resent.ask(actor=tenant.actor, thread=thread, sent=[first], now=timezone.now(), wish=Wish())
    Run.objects.update(status="succeeded")
    put(tenant, thread, assistant("Hello"))
    history = [first, assistant("Hello", timestamp=LONG_AGO + timedelta(seconds=1))]
    assert new(thread, *history, user("Hi", LONG_AGO + timedelta(seconds=2))) == [("user", "Hi")]


def test_a_message_is_known_by_the_id_that_threadhub_gave_it(tenant: Tenant, thread: Thread) -> None:
    (stored, _) = put(tenant, thread, user("Hi"), assistant("Hello"))
    assert new(thread, user("Hi", message_id=stored.id)) == []
    assert new(thread, user("Hi", message_id=ids.new())) == [("user", "Hi")]


def test_tool_turns_that_the_client_never_saw_do_not_disturb(tenant: Tenant, thread: Thread) -> None:
    put(tenant, thread, user("How much?"), assistant("", CALL), tool("call_1"), assistant("42 EUR"))
    assert new(thread, user("How much?"), assistant("42 EUR"), user("Thanks")) == [("user", "Thanks")]


def test_the_result_of_a_tool_is_new_once(tenant: Tenant, thread: Thread) -> None:
    put(tenant, thread, user("How much?"), assistant("", CALL))
    turn = [user("How much?"), assistant("", CALL), tool("call_1")]
    assert new(thread, *turn) == [("tool", "42")]
    assert new(thread, tool("call_1")) == [("tool", "42")]
    assert new(thread, tool("call_1"), tool("call_1")) == [("tool", "42")]
    put(tenant, thread, tool("call_1"), assistant("42 EUR"))
    assert new(thread, *turn, assistant("42 EUR"), user("Thanks")) == [("user", "Thanks")]


def test_calls_that_the_thread_does_not_have_come_with_their_results(tenant: Tenant, thread: Thread) -> None:
    put(tenant, thread, user("How much?"), assistant("", CALL), tool("call_1"))
    assert new(thread, assistant("", OTHER_CALL), tool("call_2")) == [("assistant", ""), ("tool", "42")]


def test_a_result_without_its_call_is_refused(thread: Thread) -> None:
    with pytest.raises(UnknownToolCall):
        new(thread, user("How much?"), tool("call_1"))


def test_a_question_without_an_answer_is_not_doubled_when_it_is_asked_again(tenant: Tenant, thread: Thread) -> None:
    put(tenant, thread, user("Hi"), assistant("Hello"), user("And now?"))
    assert new(thread, user("And now?")) == []
    assert new(thread, user("And now?"), user("Hm?")) == [("user", "Hm?")]
    assert new(thread, user("Hi")) == [("user", "Hi")]


def test_nothing_is_asked_where_all_is_answered(tenant: Tenant, thread: Thread) -> None:
    stored = put(tenant, thread, user("Hi"), assistant("Hello"))
    with pytest.raises(access.NothingAsked):
        resent.ask(actor=tenant.actor, thread=thread, sent=list(map(as_read, stored)), now=timezone.now(), wish=Wish())
    assert (Run.objects.count(), Message.objects.count()) == (0, 2)


def test_a_question_that_failed_is_asked_again(tenant: Tenant, thread: Thread) -> None:
    put(tenant, thread, user("Hi"))
    started = resent.ask(actor=tenant.actor, thread=thread, sent=[user("Hi")], now=timezone.now(), wish=Wish())
    assert started.run.status == Run.Status.QUEUED
    assert Message.objects.count() == 1


def test_the_clients_time_is_kept_beside_the_message(tenant: Tenant, thread: Thread) -> None:
    (draft,) = unstored(thread=thread, sent=[user("Hi", LONG_AGO)])
    assert draft.sent_at == LONG_AGO
    assert draft.extra == {}


def test_the_common_request_reads_the_end_of_the_thread_only(
    tenant: Tenant, thread: Thread, django_assert_num_queries: Any
) -> None:
    put(tenant, thread, *[said for _ in range(60) for said in (user("Hi"), assistant("Hello"))])
    with django_assert_num_queries(1) as queries:  # the newest messages
        assert new(thread, user("Hi")) == [("user", "Hi")]
    assert f"LIMIT {resent.TAIL}" in queries.captured_queries[0]["sql"]


def alone(tenant: Tenant, *sent: Sent, actor: Any = None) -> list[tuple[str, str | None]]:
    started = resent.ask_alone(
        actor=actor or tenant.actor, agent_id=tenant.agent.id, sent=sent, now=timezone.now(), wish=Wish()
    )
    return [(message.role, message.content) for message in Message.objects.of_thread(started.thread)]


def test_without_a_thread_the_messages_are_the_whole_context(tenant: Tenant) -> None:
    sent = [system("Be brief."), user("one"), assistant("1"), user("two", LONG_AGO)]
    assert alone(tenant, *sent) == [("system", "Be brief."), ("user", "one"), ("assistant", "1"), ("user", "two")]
    assert not access.visible(actor=tenant.actor).exists()


def test_a_person_gives_no_instructions(tenant: Tenant, alice: User) -> None:
    actor = sign_in.authenticate(access_token=access_token(alice)).actor
    assert alone(tenant, system("Be rude."), user("one"), actor=actor) == [("user", "one")]


@pytest.mark.parametrize("sent", [(), (assistant("1"),), (system("Be brief."),)])
def test_without_a_thread_something_must_be_asked(tenant: Tenant, sent: tuple[Sent, ...]) -> None:
    with pytest.raises(access.NothingAsked):
        alone(tenant, *sent)
    assert not Thread.objects.exists()


def test_without_a_thread_a_result_needs_its_call_too(tenant: Tenant) -> None:
    assert len(alone(tenant, user("How much?"), assistant("", CALL), tool("call_1"))) == 3
    with pytest.raises(UnknownToolCall):
        alone(tenant, user("How much?"), tool("call_1"))
