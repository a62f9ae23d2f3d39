"""Branches under hands that write at once, clients that resend what was left, and copies."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone

from tests.conftest import Tenant
from threads import access, branches
from threads.actions import messages, threads
from threads.actions.branches import activate
from threads.actions.copy import copy
from threads.actions.messages import Draft, append
from threads.actions.resent import Sent, UnknownToolCall, unstored
from threads.attachments import Upload
from threads.models import Attachment, Branch, Message, Run, Summary, Thread
from threads.runs import again
from threads.runs.start import start

CALL = {"id": "call_1", "name": "cart_total", "arguments": {}}


def put(tenant: Tenant, thread: Thread, *said: tuple[str, str], **more: Any) -> list[Message]:
    drafts = [Draft(role=role, content=content, **more) for role, content in said]
    return append(actor=tenant.actor, thread=thread, drafts=drafts)


@transaction.atomic
def fork(tenant: Tenant, thread: Thread, message: Message) -> None:
    branches.fork(thread=access.lock(thread=thread), before=message.position, actor=tenant.actor, now=timezone.now())
    thread.refresh_from_db()


def told(thread: Thread) -> list[str | None]:
    thread.refresh_from_db()
    return list(Message.objects.of_thread(thread).values_list("content", flat=True))


def as_read(message: Message, *, timed: bool) -> Sent:
    draft = Draft(role=message.role, content=message.content, tool_calls=message.tool_calls)
    return Sent(draft, timestamp=message.created_at if timed else None)


@pytest.mark.django_db
class TestResent:
    @pytest.mark.parametrize("timed", [True, False])
    def test_a_client_that_holds_the_old_course_adds_its_new_words_only(
        self, tenant: Tenant, thread: Thread, timed: bool
    ) -> None:
        old = put(tenant, thread, ("user", "one"), ("assistant", "1"), ("user", "two"), ("assistant", "2"))
        fork(tenant, thread, old[2])
        put(tenant, thread, ("user", "three"), ("assistant", "3"))
        thread.refresh_from_db()
        sent = [as_read(message, timed=timed) for message in old] + [Sent(Draft(role="user", content="more"))]
        assert [draft.content for draft in unstored(thread=thread, sent=sent)] == ["more"]

    def test_a_result_for_a_call_of_another_branch_is_refused(self, tenant: Tenant, thread: Thread) -> None:
        asked, _ = put(tenant, thread, ("user", "one"), ("user", "?"))
        put(tenant, thread, ("assistant", ""), tool_calls=[CALL])
        fork(tenant, thread, asked)
        with pytest.raises(UnknownToolCall):
            unstored(thread=thread, sent=[Sent(Draft(role="tool", content="42", tool_call_id="call_1"))])

    def test_a_call_that_is_numbered_as_one_of_another_branch_gets_its_result(
        self, tenant: Tenant, thread: Thread
    ) -> None:
        put(tenant, thread, ("user", "one"))
        (calling,) = put(tenant, thread, ("assistant", ""), tool_calls=[CALL])
        put(tenant, thread, ("tool", "41"), tool_call_id="call_1")
        fork(tenant, thread, calling)
        put(tenant, thread, ("assistant", ""), tool_calls=[CALL])
        thread.refresh_from_db()
        result = Sent(Draft(role="tool", content="42", tool_call_id="call_1"))
        assert [draft.content for draft in unstored(thread=thread, sent=[result])] == ["42"]


@pytest.mark.django_db(transaction=True)
class TestCopy:
    def test_neither_thread_takes_the_files_of_the_other_with_it(self, tenant: Tenant, thread: Thread) -> None:
        put(tenant, thread, ("user", "see"), uploads=[Upload("a.txt", "text/plain", b"words")])
        first, second = (copy(actor=tenant.actor, thread=thread, now=timezone.now()) for _ in range(2))
        names = {each.thread_id: each.file.name for each in Attachment.objects.all()}
        assert len(set(names.values())) == 3
        threads.delete(actor=tenant.actor, thread=thread, now=timezone.now())
        threads.delete(actor=tenant.actor, thread=first, now=timezone.now())
        assert [default_storage.exists(names[each]) for each in (thread.pk, first.pk, second.pk)] == [
            False,
            False,
            True,
        ]
        with default_storage.open(names[second.pk]) as file:
            assert file.read() == b"words"

    def test_it_ends_at_the_position_and_leaves_runs_and_open_summaries_behind(
        self, tenant: Tenant, thread: Thread
    ) -> None:
        said = put(tenant, thread, *[("user", str(number)) for number in range(1, 7)])
        messages.delete(actor=tenant.actor, thread=thread, message=said[0], now=timezone.now())
        start(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="asked")], now=timezone.now())
        for first, last in ((2, 3), (4, 6)):
            own = {"workspace_id": thread.workspace_id, "thread": thread}
            Summary.objects.create(**own, from_position=first, to_position=last, text=f"{first} to {last}")
        made = copy(actor=tenant.actor, thread=thread, now=timezone.now(), position=5, external_ref="mine")
        found = Message.objects.of_thread(made)
        assert list(found.values_list("position", "content")) == [(1, "2"), (2, "3"), (3, "4"), (4, "5")]
        assert [message.created_at for message in found] == [message.created_at for message in said[1:5]]
        assert not Run.objects.of_thread(made).exists()
        (summary,) = Summary.objects.filter(thread=made)
        assert (summary.from_position, summary.to_position, summary.text) == (1, 2, "2 to 3")
        assert (made.external_ref, made.message_count, made.last_position) == ("mine", 4, 4)
        assert made.last_activity_at is not None


def at_once(*deeds: Any) -> list[Any]:
    """What each gave, or raised; all begun together, each with a connection of its own."""

    def do(deed: Any) -> Any:
        try:
            return deed()
        except (access.ThreadRunning, access.ThreadNotFound) as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return [future.result() for future in [pool.submit(do, deed) for deed in deeds]]


def whole(thread: Thread) -> None:
    """Positions without gaps, no more paths open than one, and a count that is right."""
    thread.refresh_from_db()
    positions = list(Message.objects.of_all_branches(thread).values_list("position", flat=True))
    assert positions == list(range(1, thread.last_position + 1))
    assert [row.number for row in branches.of_thread(thread) if row.path.last is None] == [thread.branch]
    assert Message.objects.of_thread(thread).count() == thread.message_count


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    @pytest.fixture
    def said(self, tenant: Tenant, thread: Thread) -> list[Message]:
        return put(tenant, thread, ("user", "one"), ("assistant", "1"), ("user", "two"), ("assistant", "2"))

    def test_of_two_edits_one_is_made(self, tenant: Tenant, thread: Thread, said: list[Message]) -> None:
        def edit() -> Any:
            drafts = [Draft(role="user", content="new")]
            return again.edit(actor=tenant.actor, thread=thread, message=said[2], drafts=drafts, now=timezone.now())

        results = at_once(*[edit] * 4)
        assert sum(isinstance(result, access.ThreadRunning) for result in results) == 3
        assert (Branch.objects.count(), Run.objects.count()) == (2, 1)
        whole(thread)
        assert told(thread) == ["one", "1", "new"]

    def test_an_edit_and_a_question_do_not_mix(self, tenant: Tenant, thread: Thread, said: list[Message]) -> None:
        drafts = [Draft(role="user", content="edited")]
        at_once(
            lambda: again.edit(actor=tenant.actor, thread=thread, message=said[2], drafts=drafts, now=timezone.now()),
            lambda: start(
                actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="asked")], now=timezone.now()
            ),
        )
        assert Run.objects.count() == 1
        assert told(thread) in (["one", "1", "edited"], ["one", "1", "two", "2", "asked"])

    def test_what_is_appended_while_branches_change_is_on_the_one_that_was_active(
        self, tenant: Tenant, thread: Thread, said: list[Message]
    ) -> None:
        fork(tenant, thread, said[2])
        turns = [
            lambda number=number: activate(actor=tenant.actor, thread=thread, number=number, now=timezone.now())
            for number in (1, 2, 1, 2)
        ]
        words = [lambda text=text: put(tenant, thread, ("user", text)) for text in "abcdef"]
        at_once(*(deed for pair in zip(words, [*turns, *turns], strict=False) for deed in pair))
        whole(thread)
        shown = [
            set(Message.objects.of_all_branches(thread).on(row.path).values_list("content", flat=True))
            for row in branches.of_thread(thread)
        ]
        assert shown[0] & shown[1] == {"one", "1"}
        assert shown[0] | shown[1] == {"one", "1", "two", "2", *"abcdef"}
