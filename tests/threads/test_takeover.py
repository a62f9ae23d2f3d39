"""A person answers in the agent's place: the agent is paused, streams stay open, the answer is marked, clients see no
more than that."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from tests.conftest import Api, Tenant
from tests.threads.conftest import answer, ask, conversation
from threadhub.audit.models import AuditEvent
from threadhub.lib import ids
from threadhub.lib.asynchronous import in_thread
from threadhub.workspaces import actor as actors
from threadhub.workspaces.actor import Actor, PermissionMissing
from threadhub.workspaces.permissions import ROLE_PERMISSIONS, Role
from threads.actions import canned_answers, copy, desk, messages, takeover
from threads.actions.messages import Draft
from threads.models import Message, Note, Run, RunEvent, Thread, ToolUse
from threads.runs import end
from threads.runs.context import build
from threads.runs.execute import execute
from threads.runs.tools import effective

pytestmark = pytest.mark.django_db(transaction=True)
PATIENT = "/delay 60000\n/say too late"


def person(tenant: Tenant, role: Role = Role.OWNER) -> Actor:
    return Actor("user", tenant.workspace.pk, ROLE_PERMISSIONS[role], user_id=tenant.owner.pk)


def take(tenant: Tenant, thread: Thread) -> Thread:
    return takeover.take_over(actor=person(tenant), thread=thread, now=timezone.now())


def say(tenant: Tenant, thread: Thread, text: str) -> Message:
    message = takeover.answer(actor=person(tenant), thread=thread, text=text, now=timezone.now())
    assert message is not None
    return message


def give_back(tenant: Tenant, thread: Thread) -> Thread:
    return takeover.hand_back(actor=person(tenant), thread=thread, now=timezone.now())


def work(run: Run) -> Run:
    asyncio.run(execute(run_id=run.pk, workspace_id=run.workspace_id))
    run.refresh_from_db()
    return run


def types(run: Run) -> list[str]:
    return list(RunEvent.objects.filter(run_id=run.pk).order_by("seq").values_list("type", flat=True))


def test_what_is_sent_again_is_said_once(tenant: Tenant, thread: Thread) -> None:
    take(tenant, thread)
    run = ask(tenant, thread, "Hello?")
    sending, now = ids.new(), timezone.now()

    def send(text: str, under: UUID | None = sending, by: Actor | None = None) -> bool:
        said = takeover.answer(actor=by or person(tenant), thread=thread, text=text, now=now, sending=under)
        return said is not None

    assert [send("Yes."), send("Yes.")] == [True, False]
    give_back(tenant, thread)
    assert not send("Yes."), "it is said, whoever answers now"
    take(tenant, thread)
    assert [send("Yes, certainly."), send("Yes.", ids.new()), send("Yes.", None), send("Yes.", None)] == [True] * 4
    run.refresh_from_db()
    assert Message.objects.filter(pk=run.answer_id, content="Yes.").exists()
    assert Message.objects.filter(thread=thread, content__startswith="Yes").count() == 5


def test_of_two_sendings_at_once_one_is_said(tenant: Tenant, thread: Thread) -> None:
    take(tenant, thread)
    sending, now = ids.new(), timezone.now()

    def send(_: int) -> bool:
        try:
            said = takeover.answer(actor=person(tenant), thread=thread, text="Yes.", now=now, sending=sending)
            return said is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(send, range(4))) == [False, False, False, True]
    assert Message.objects.filter(thread=thread, content="Yes.").count() == 1


def test_a_question_waits_for_the_person_and_is_answered_by_them(tenant: Tenant, thread: Thread) -> None:
    take(tenant, thread)
    run = ask(tenant, thread, "/say from the model")
    assert work(run).status == "queued", "no worker takes it"
    message = say(tenant, thread, "Hello, this is Olivia.")
    run.refresh_from_db()
    assert (run.status, message.pk, message.run_id) == ("succeeded", run.answer_id, run.pk)
    assert conversation(thread)[-1] == (2, "assistant", "Hello, this is Olivia.")
    assert types(run) == [
        "message_start", "block_start", "text_delta", "block_stop", "message_stored", "usage", "message_stop",
    ]  # fmt: skip
    say(tenant, thread, "And one thing more.")
    assert [content for _, _, content in conversation(thread)][-1] == "And one thing more."


def test_the_thread_handed_back_is_answered_by_the_agent(tenant: Tenant, thread: Thread) -> None:
    take(tenant, thread)
    run = ask(tenant, thread, "/say from the model")
    give_back(tenant, thread)
    assert work(run).status == "succeeded"
    assert conversation(thread)[-1] == (2, "assistant", "from the model")
    assert answer(tenant, thread, "/say again").status == "succeeded"
    thread.refresh_from_db()
    assert (thread.taken_over_at, thread.taken_over_by_id, thread.assignee_id) == (None, None, tenant.owner.pk)


def test_an_answer_under_way_is_cut_short_and_its_stream_goes_on_with_the_person(
    tenant: Tenant, thread: Thread
) -> None:
    run = ask(tenant, thread, "/length 50000")

    async def both() -> None:
        working = asyncio.create_task(execute(run_id=run.pk, workspace_id=run.workspace_id))
        while not await in_thread(lambda: "text_delta" in types(run))():
            await asyncio.sleep(0.01)
        await in_thread(lambda: take(tenant, thread))()
        await asyncio.wait_for(working, 30)

    asyncio.run(both())
    run.refresh_from_db()
    assert run.status == "queued"
    partial = thread.messages.get(position=2)
    assert (partial.partial, partial.by_person, partial.run_id) == (True, False, run.pk)
    assert "message_stop" not in types(run)
    say(tenant, thread, "Let me.")
    run.refresh_from_db()
    assert run.status == "succeeded"
    rows = RunEvent.objects.filter(run_id=run.pk).order_by("seq")
    assert list(rows.values_list("seq", flat=True)) == list(range(1, run.last_seq + 1))
    assert [row.data["index"] for row in rows if row.type == "block_start"] == [0, 1]
    text = "".join(row.data["text"] for row in rows if row.type == "text_delta" and row.data["index"] == 0)
    assert text == partial.content


def test_readers_are_told_at_once_that_a_person_takes_over(tenant: Tenant, thread: Thread) -> None:
    run = ask(tenant, thread, "/say one")
    Run.objects.filter(pk=run.pk).update(status="running")
    run.refresh_from_db()
    end.save(run, [("block_start", {"index": 0, "kind": "text"}), ("text_delta", {"index": 0, "text": "on"})])
    with connection.cursor() as cursor:
        cursor.execute("LISTEN run_events")
    try:
        take(tenant, thread)
        told = [each.payload for each in connection.connection.notifies(timeout=1, stop_after=1)]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("UNLISTEN *")
    assert told == [str(run.pk)]
    assert types(run)[-1] == "message_stored"


def test_what_was_shown_before_does_not_come_twice_when_the_agent_goes_on(tenant: Tenant, thread: Thread) -> None:
    run = ask(tenant, thread, "/say one")
    Run.objects.filter(pk=run.pk).update(status="running")
    run.refresh_from_db()
    blocks: list[Any] = [("block_start", {"index": 0, "kind": "text"}), ("text_delta", {"index": 0, "text": "on"})]
    end.save(run, blocks)
    take(tenant, thread)
    give_back(tenant, thread)
    assert work(run).status == "succeeded"
    assert [content for _, _, content in conversation(thread)][1:] == ["on", "one"]
    rows = RunEvent.objects.filter(run_id=run.pk, type="block_start").order_by("seq")
    assert [row.data["index"] for row in rows] == [0, 1]


def test_several_questions_are_one_conversation_and_the_newest_gets_the_answer(tenant: Tenant, thread: Thread) -> None:
    take(tenant, thread)
    first, second = ask(tenant, thread, "Hello?"), ask(tenant, thread, "Anybody?")
    say(tenant, thread, "Yes.")
    for run in (first, second):
        run.refresh_from_db()
        assert run.status == "succeeded"
        assert types(run)[-1] == "message_stop"
    assert Message.objects.get(content="Yes.").run_id == second.pk
    assert [content for _, _, content in conversation(thread)] == ["Hello?", "Anybody?", "Yes."]


def test_questions_that_waited_for_their_turn_are_kept(tenant: Tenant, thread: Thread) -> None:
    ask(tenant, thread, "one")
    ask(tenant, thread, "two", double_texting="enqueue")
    take(tenant, thread)
    assert [content for _, _, content in conversation(thread)] == ["one", "two"]
    assert Run.objects.live().get().number == 2


def test_nobody_answers_and_the_run_is_over_after_a_day(tenant: Tenant, thread: Thread) -> None:
    take(tenant, thread)
    run = ask(tenant, thread, "Hello?")
    end.end_all_lost(now=timezone.now() + takeover.PATIENCE / 2)
    run.refresh_from_db()
    assert run.live
    end.end_all_lost(now=timezone.now() + takeover.PATIENCE * 2)
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("expired", "not_answered")


def test_it_is_refused_where_it_makes_no_sense(tenant: Tenant, thread: Thread) -> None:
    with pytest.raises(takeover.NotTakenOver):
        say(tenant, thread, "Hello")
    with pytest.raises(takeover.NotTakenOver):
        give_back(tenant, thread)
    take(tenant, thread)
    with pytest.raises(takeover.EmptyAnswer):
        say(tenant, thread, "  \n ")


@pytest.mark.parametrize("role", [Role.MEMBER, Role.VIEWER, Role.COMPLIANCE])
def test_roles_decide_who_may(role: Role, tenant: Tenant, thread: Thread) -> None:
    actor, now = person(tenant, role), timezone.now()
    for deed in (
        lambda: takeover.take_over(actor=actor, thread=thread, now=now),
        lambda: takeover.answer(actor=actor, thread=thread, text="x", now=now),
        lambda: takeover.hand_back(actor=actor, thread=thread, now=now),
        lambda: desk.assign(actor=actor, thread=thread, user_id=None),
        lambda: desk.label(actor=actor, thread=thread, labels=["x"]),
        lambda: desk.note(actor=actor, thread=thread, text="x", now=now),
        lambda: canned_answers.create(actor=actor, title="x", text="x", now=now),
    ):
        with pytest.raises(PermissionMissing):
            deed()


def test_all_of_it_stands_in_the_audit_trail_without_words(tenant: Tenant, thread: Thread) -> None:
    take(tenant, thread)
    say(tenant, thread, "A secret answer")
    desk.note(actor=person(tenant), thread=thread, text="A secret note", now=timezone.now())
    desk.label(actor=person(tenant), thread=thread, labels=["secret label"])
    desk.assign(actor=person(tenant), thread=thread, user_id=None)
    give_back(tenant, thread)
    told = list(AuditEvent.objects.filter(actor=f"user:{tenant.owner.pk}").order_by("pk"))
    actions = {event.action for event in told}
    wanted = {"take_over", "answer", "label", "assign", "hand_back"}
    assert {f"thread.{each}" for each in wanted} | {"note.create"} <= actions
    assert "secret" not in json.dumps([event.details for event in told])


def test_clients_see_who_answers_and_nothing_that_staff_arrange(tenant: Tenant, thread: Thread, api: Api) -> None:
    path = f"/threads/{thread.wire_id}"
    assert api.get(path).json()["handled_by"] == "agent"
    take(tenant, thread)
    desk.note(actor=person(tenant), thread=thread, text="Xylophone note", now=timezone.now())
    desk.label(actor=person(tenant), thread=thread, labels=["Xylophone label"])
    run = ask(tenant, thread, "Hello?")
    say(tenant, thread, "Yes?")
    assert api.get(path).json()["handled_by"] == "person"
    asked, answered = api.get(f"{path}/messages").json()["data"]
    assert (asked["author"], answered["author"]) == (None, "person")
    stream = api.get(f"{path}/runs/{run.wire_id}/events", headers={"Accept": "text/event-stream"})
    frames = b"".join(asyncio.run(_read(stream))).decode()
    assert '"author":"person"' in frames
    answers = [api.get(path), api.get("/threads?include_messages=true"), api.get(f"{path}/messages"),
               api.get(f"/ai/threads/{thread.wire_id}"), api.get(f"{path}/runs/{run.wire_id}"),
               api.get(f"{path}/runs/{run.wire_id}/context"), api.get("/search?q=Xylophone")]  # fmt: skip
    for each in answers:
        assert "Xylophone" not in each.content.decode()
        assert str(tenant.owner.pk) not in each.content.decode()
    model_input = build(run=run, tools=effective(run)).request
    assert "Xylophone" not in repr(model_input)
    twin = copy.copy(actor=tenant.actor, thread=thread, now=timezone.now())
    assert not Note.objects.filter(thread=twin).exists()
    assert (twin.labels, twin.taken_over) == ([], False)


async def _read(response: Any) -> list[bytes]:
    return [piece async for piece in response.streaming_content]


def test_a_thread_goes_to_colleagues_who_may_answer_only(tenant: Tenant, thread: Thread, alice: Any) -> None:
    with pytest.raises(desk.NotAssignable):
        desk.assign(actor=person(tenant), thread=thread, user_id=alice.pk)
    assert desk.assign(actor=person(tenant), thread=thread, user_id=tenant.owner.pk).assignee_id == tenant.owner.pk


def test_labels_are_few_short_and_sorted(tenant: Tenant, thread: Thread) -> None:
    labelled = desk.label(actor=person(tenant), thread=thread, labels=["  urgent ", "billing", "", "urgent"])
    assert labelled.labels == ["billing", "urgent"]
    for bad in (["x" * 41], [str(each) for each in range(11)]):
        with pytest.raises(desk.BadLabel):
            desk.label(actor=person(tenant), thread=thread, labels=bad)


def test_a_note_is_taken_away_by_its_author_only(tenant: Tenant, thread: Thread) -> None:
    note = desk.note(actor=person(tenant), thread=thread, text="Call back", now=timezone.now())
    with pytest.raises(desk.NoteNotFound):
        desk.remove_note(actor=actors.system(tenant.workspace.pk), thread=thread, note_id=note.pk)
    desk.remove_note(actor=person(tenant), thread=thread, note_id=note.pk)
    assert not Note.objects.exists()


def test_tools_are_known_of_a_thread_as_long_as_a_message_called_them(tenant: Tenant, thread: Thread) -> None:
    def named() -> list[str]:
        return sorted(ToolUse.objects.filter(thread=thread).values_list("name", flat=True))

    calls = [{"id": "1", "name": "look_up", "arguments": {}}, {"id": "2", "name": "book", "arguments": {}}]
    one, two = messages.append(
        actor=tenant.actor,
        thread=thread,
        drafts=[
            Draft(role="assistant", content="", tool_calls=calls),
            Draft(role="assistant", content="", tool_calls=calls[:1]),
        ],
    )
    assert named() == ["book", "look_up"]
    messages.delete(actor=tenant.actor, thread=thread, message=one, now=timezone.now())
    assert named() == ["look_up"]
    twin = copy.copy(actor=tenant.actor, thread=thread, now=timezone.now())
    assert list(ToolUse.objects.filter(thread=twin).values_list("name", flat=True)) == ["look_up"]
    messages.delete(actor=tenant.actor, thread=thread, message=two, now=timezone.now())
    assert named() == []
