"""One asking of an agent, from the question to the last event, on the database the worker uses."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.conftest import Tenant
from tests.threads.conftest import answer, ask, conversation
from threadhub.agents.models import DoubleTexting
from threadhub.audit.models import AuditEvent
from threadhub.lib.asynchronous import in_thread
from threadhub.lib.errors import DomainError
from threads import access
from threads.actions import threads
from threads.actions.messages import Draft
from threads.attachments import Upload
from threads.lifecycle import acts
from threads.models import Message, Run, RunEvent, Thread
from threads.runs import end
from threads.runs import start as starting
from threads.runs.answer import claim, hand_back
from threads.runs.execute import execute
from threads.runs.follow import follow
from threads.runs.start import Wish, start

pytestmark = pytest.mark.django_db(transaction=True)


def events(run: Run) -> list[tuple[int, str]]:
    return list(RunEvent.objects.filter(run_id=run.pk).order_by("seq").values_list("seq", "type"))


def test_it_stores_question_and_answer_in_order(tenant: Tenant, thread: Thread) -> None:
    run = answer(tenant, thread, "/say forty two")
    assert run.status == "succeeded"
    assert conversation(thread) == [(1, "user", "/say forty two"), (2, "assistant", "forty two")]
    thread.refresh_from_db()
    assert (thread.message_count, thread.last_position) == (2, 2)
    assert thread.messages.get(position=2).id == run.answer_id
    assert run.input_tokens
    assert run.output_tokens == 2


def test_it_numbers_events_from_one_without_gaps_and_text_adds_up(tenant: Tenant, thread: Thread) -> None:
    run = answer(tenant, thread, "/length 200")
    numbers = [seq for seq, _ in events(run)]
    assert numbers == list(range(1, run.last_seq + 1))
    types = [type for _, type in events(run)]
    assert types[:2] == ["message_start", "block_start"]
    assert types[-4:] == ["block_stop", "message_stored", "usage", "message_stop"]
    text = "".join(
        data["text"]
        for data in RunEvent.objects.filter(run_id=run.pk, type="text_delta")
        .order_by("seq")
        .values_list("data", flat=True)
    )
    assert text == thread.messages.get(position=2).content
    assert len(text.split()) == 200


def test_it_gives_the_whole_thread_and_the_instructions_to_the_model(tenant: Tenant, thread: Thread) -> None:
    tenant.agent.instructions = "Be kind."
    tenant.agent.save()
    for prompt in ("/say one", "/say two", "/context"):
        answer(tenant, thread, prompt)
    last = thread.messages.order_by("position").last()
    assert last is not None
    assert "5" in (last.content or "")


def test_it_calls_a_tool_and_answers_from_its_result(tenant: Tenant, thread: Thread) -> None:
    run = answer(tenant, thread, '/tool current_time {"zone": "Asia/Tokyo"}')
    assert run.status == "succeeded"
    roles = [role for _, role, _ in conversation(thread)]
    assert roles == ["user", "assistant", "tool", "assistant"]
    call = thread.messages.get(position=2).tool_calls[0]
    assert (call["name"], call["arguments"]) == ("current_time", {"zone": "Asia/Tokyo"})
    result = thread.messages.get(position=3)
    assert result.tool_call_id == call["id"]
    assert result.tool_result["zone"] == "Asia/Tokyo"


def test_it_refuses_a_tool_outside_the_enabled_ones_and_records_that(tenant: Tenant, thread: Thread) -> None:
    run = answer(tenant, thread, "/tool current_time {}", enabled_tools=["web_search"])
    assert run.ignored_tools == ["web_search"]
    result = thread.messages.get(position=3)
    assert "not available" in result.tool_result["error"]
    assert RunEvent.objects.get(run_id=run.pk, type="tool_result").data["is_error"] is True


def test_it_rests_when_the_model_asks_for_a_tool_of_the_client(tenant: Tenant, thread: Thread) -> None:
    tool = {"name": "open_door", "description": "", "parameters": {"type": "object"}}
    run = answer(tenant, thread, '/tool open_door {"door": 1}', client_tools=[tool])
    assert (run.status, run.finish_reason) == ("requires_action", "tool_calls")
    assert thread.messages.get(position=2).tool_calls[0]["arguments"] == {"door": 1}
    again = start(
        actor=tenant.actor,
        thread=thread,
        drafts=[Draft(role="tool", tool_call_id=thread.messages.get(position=2).tool_calls[0]["id"], content="opened")],
        now=timezone.now(),
    ).run
    asyncio.run(execute(run_id=again.pk, workspace_id=again.workspace_id))
    again.refresh_from_db()
    assert again.status == "succeeded"


def test_it_does_its_own_part_of_a_step_that_also_asks_for_a_tool_of_the_client(tenant: Tenant, thread: Thread) -> None:
    tool = {"name": "open_door", "description": "", "parameters": {"type": "object"}}
    prompt = '/tool current_time {"zone": "UTC"}\n/tool open_door {"door": 1}'
    run = answer(tenant, thread, prompt, client_tools=[tool])
    assert run.status == "requires_action"
    asking, own = thread.messages.filter(position__gte=2).order_by("position")
    assert [call["name"] for call in asking.tool_calls] == ["current_time", "open_door"]
    assert (own.role, own.tool_call_id) == ("tool", asking.tool_calls[0]["id"])
    assert own.tool_result["zone"] == "UTC"


def test_it_keeps_the_question_when_the_provider_fails(tenant: Tenant, thread: Thread) -> None:
    run = answer(tenant, thread, "/fail provider_rate_limited")
    assert (run.status, run.error_code) == ("failed", "provider_rate_limited")
    assert conversation(thread) == [(1, "user", "/fail provider_rate_limited")]
    assert [type for _, type in events(run)][-2:] == ["error", "message_stop"]


def test_it_refuses_a_second_question_while_one_is_answered(tenant: Tenant, thread: Thread) -> None:
    ask(tenant, thread, "first")
    with pytest.raises(access.ThreadRunning):
        ask(tenant, thread, "second")
    assert [content for _, _, content in conversation(thread)] == ["first"]


def test_a_run_is_executed_once_however_many_workers_take_it(tenant: Tenant, thread: Thread) -> None:
    run = ask(tenant, thread, "/say once")

    async def three() -> None:
        await asyncio.gather(*(execute(run_id=run.pk, workspace_id=run.workspace_id) for _ in range(3)))

    asyncio.run(three())
    assert conversation(thread) == [(1, "user", "/say once"), (2, "assistant", "once")]


def test_cancelling_keeps_what_was_said_and_nothing_comes_after(tenant: Tenant, thread: Thread) -> None:
    run, actor = ask(tenant, thread, "/slow 0.05 /length 100"), tenant.actor

    async def cancel_in_the_middle() -> None:
        working = asyncio.create_task(execute(run_id=run.pk, workspace_id=run.workspace_id))
        texts = 0
        async for event in follow(run_id=run.pk, workspace_id=run.workspace_id):
            texts += event.type == "text_delta"
            if texts == 3:
                break
        await in_thread(end.cancel)(actor=actor, run=run, now=timezone.now())
        last = RunEvent.objects.filter(run_id=run.pk).order_by("-seq")
        assert (await in_thread(last.values_list("type", flat=True).first)()) == "message_stop"
        await asyncio.wait_for(working, 10)

    asyncio.run(cancel_in_the_middle())
    run.refresh_from_db()
    partial = thread.messages.get(position=2)
    assert run.status == "cancelled"
    assert partial.partial
    assert 0 < len((partial.content or "").split()) < 100
    assert events(run)[-1] == (run.last_seq, "message_stop")
    assert thread.messages.count() == 2
    with pytest.raises(end.RunEnded):
        end.cancel(actor=tenant.actor, run=run, now=timezone.now())


def lose(run: Run, *, shown: bool) -> None:
    """As if the run's worker had been killed, after or before it had anything to show."""
    RunEvent.objects.create(run_id=run.pk, workspace_id=run.workspace_id, seq=1, type="message_start", data={})
    if shown:
        data = {"index": 0, "text": "half an ans"}
        RunEvent.objects.create(run_id=run.pk, workspace_id=run.workspace_id, seq=2, type="text_delta", data=data)
    long_ago = timezone.now() - timedelta(minutes=5)
    Run.objects.filter(pk=run.pk).update(
        status="running", lease_expires_at=long_ago, last_seq=2 if shown else 1, attempt=F("attempt") + 1
    )


def test_a_run_of_a_dead_worker_that_has_shown_something_is_ended(tenant: Tenant, thread: Thread) -> None:
    run = ask(tenant, thread, "/say lost")
    lose(run, shown=True)
    second = answer(tenant, thread, "/say found")
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("failed", "worker_lost")
    assert second.status == "succeeded"
    assert [content for _, _, content in conversation(thread)] == ["/say lost", "half an ans", "/say found", "found"]
    assert thread.messages.get(position=2).partial


def test_a_run_of_a_dead_worker_that_has_shown_nothing_is_taken_by_another(tenant: Tenant, thread: Thread) -> None:
    run = ask(tenant, thread, "/say at last")
    lose(run, shown=False)
    assert end.end_all_lost(now=timezone.now()) == 1
    asyncio.run(execute(run_id=run.pk, workspace_id=run.workspace_id))
    run.refresh_from_db()
    assert (run.status, run.attempt) == ("succeeded", 2)
    assert [type for _, type in events(run)].count("message_start") == 1
    assert [content for _, _, content in conversation(thread)] == ["/say at last", "at last"]


def test_a_run_is_not_started_over_for_ever(tenant: Tenant, thread: Thread) -> None:
    run = ask(tenant, thread, "/say cursed")
    Run.objects.filter(pk=run.pk).update(attempt=end.MAX_ATTEMPTS - 1)
    lose(run, shown=False)
    end.end_all_lost(now=timezone.now())
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("failed", "worker_lost")


def work_off(thread: Thread) -> None:
    """Execute the runs of a thread whose turn it is, until there are none."""
    while run := Run.objects.of_thread(thread).filter(status="queued", lease_expires_at__isnull=False).first():
        asyncio.run(execute(run_id=run.pk, workspace_id=run.workspace_id))


def test_enqueued_questions_are_answered_in_the_order_of_asking(tenant: Tenant, thread: Thread) -> None:
    for word in ("one", "two", "three"):
        ask(tenant, thread, f"/say {word}", double_texting=DoubleTexting.ENQUEUE)
    assert [content for _, _, content in conversation(thread)] == ["/say one"]
    work_off(thread)
    said = [content for _, _, content in conversation(thread)]
    assert said == ["/say one", "one", "/say two", "two", "/say three", "three"]


def test_asking_in_a_thread_reads_it_once_and_locks_it(tenant: Tenant, thread: Thread) -> None:
    drafts = [Draft("user", "/say one")]
    with CaptureQueriesContext(connection) as queries:
        started = starting.ask(
            actor=tenant.actor, agent_id=tenant.agent.pk, thread_id=thread.pk, drafts=drafts, now=timezone.now()
        )
    assert started.thread == thread
    asked = [str(query["sql"]) for query in queries]
    (reading,) = [each for each in asked if 'FROM "threads_thread"' in each]
    assert reading.endswith('FOR UPDATE OF "threads_thread"')
    assert not [each for each in asked if each.startswith("SAVEPOINT")]


def test_an_archived_thread_is_not_asked_in(tenant: Tenant, thread: Thread) -> None:
    answer(tenant, thread, "/say one")
    acts.archive(actor=tenant.actor, thread=thread, now=timezone.now())
    drafts = [Draft("user", "/say two")]
    with pytest.raises(access.ThreadArchived):
        starting.ask(
            actor=tenant.actor, agent_id=tenant.agent.pk, thread_id=thread.pk, drafts=drafts, now=timezone.now()
        )
    assert Run.objects.of_thread(thread).count() == 0


def test_a_question_waits_with_as_many_queries_however_many_wait_before_it(tenant: Tenant, thread: Thread) -> None:
    numbers = []
    for _ in range(6):
        with CaptureQueriesContext(connection) as queries:
            ask(tenant, thread, "/say in turn", double_texting=DoubleTexting.ENQUEUE)
        numbers.append(len(queries))
    assert len(set(numbers[1:])) == 1, numbers


def test_a_question_that_waits_keeps_its_files(tenant: Tenant, thread: Thread) -> None:
    ask(tenant, thread, "/say one")
    draft = Draft(role="user", content="look", uploads=[Upload("a.txt", "text/plain", b"\x00\xff")])
    wish = Wish(double_texting=DoubleTexting.ENQUEUE)
    start(actor=tenant.actor, thread=thread, drafts=[draft], now=timezone.now(), wish=wish)
    work_off(thread)
    attachment = thread.messages.get(content="look").attachments.get()
    assert attachment.file.read() == b"\x00\xff"
    attachment.file.close()


def test_interrupting_cancels_what_is_under_way_and_answers_the_newest(tenant: Tenant, thread: Thread) -> None:
    runs = [
        ask(tenant, thread, f"/say {word}", double_texting=DoubleTexting.INTERRUPT) for word in ("one", "two", "three")
    ]
    work_off(thread)
    statuses = [Run.objects.get(pk=run.pk).status for run in runs]
    assert statuses == ["cancelled", "cancelled", "succeeded"]
    assert [content for _, _, content in conversation(thread)] == ["/say one", "/say two", "/say three", "three"]
    assert interrupted(tenant) == [run.wire_id for run in runs[:2]]


def interrupted(tenant: Tenant) -> list[str]:
    """The runs of which the audit trail says that the tenant's key interrupted them, in the order of time."""
    events = AuditEvent.objects.filter(action="run.interrupt", actor=tenant.actor.identity)
    return [id for ids in events.order_by("created_at").values_list("ids", flat=True) for id in ids]


def test_what_waits_for_outputs_is_interrupted_by_a_newer_question(tenant: Tenant, thread: Thread) -> None:
    tools = [{"name": "open_door", "description": "", "parameters": {"type": "object"}}]
    draft = Draft(role="user", content="/tool open_door {}")
    waits = start(
        actor=tenant.actor, thread=thread, drafts=[draft], now=timezone.now(), wish=Wish(client_tools=tools)
    ).run
    work_off(thread)
    assert Run.objects.get(pk=waits.pk).waiting
    assert interrupted(tenant) == []
    ask(tenant, thread, "/say never mind")
    assert not Run.objects.get(pk=waits.pk).waiting
    assert interrupted(tenant) == [waits.wire_id]


def test_interrupting_a_queue_keeps_every_question(tenant: Tenant, thread: Thread) -> None:
    ask(tenant, thread, "/say one")
    ask(tenant, thread, "/say two", double_texting=DoubleTexting.ENQUEUE)
    ask(tenant, thread, "/say three", double_texting=DoubleTexting.INTERRUPT)
    work_off(thread)
    assert [c for _, role, c in conversation(thread) if role == "user"] == ["/say two", "/say one", "/say three"] or [
        c for _, role, c in conversation(thread) if role == "user"
    ] == ["/say one", "/say two", "/say three"]
    assert not Run.objects.live().exists()


@pytest.mark.parametrize(
    ("strategy", "answered", "refused", "cancelled"),
    [("reject", 1, 11, 0), ("enqueue", 12, 0, 0), ("interrupt", 1, 0, 11)],
)
def test_of_questions_at_once_each_has_the_documented_fate(
    tenant: Tenant, thread: Thread, strategy: str, answered: int, refused: int, cancelled: int
) -> None:
    actor = tenant.actor

    def one(number: int) -> str:
        draft = Draft(role="user", content=f"/say {number}")
        wish = Wish(double_texting=DoubleTexting(strategy))
        try:
            start(actor=actor, thread=thread, drafts=[draft], now=timezone.now(), wish=wish)
        except access.ThreadRunning:
            return "refused"
        finally:
            connection.close()
        return "taken"

    with ThreadPoolExecutor(6) as pool:
        fates = list(pool.map(one, range(12)))
    work_off(thread)
    statuses = list(Run.objects.of_thread(thread).values_list("status", flat=True))
    assert fates.count("refused") == refused
    assert statuses.count("succeeded") == answered
    assert statuses.count("cancelled") == cancelled
    positions = list(thread.messages.order_by("position").values_list("position", flat=True))
    assert positions == list(range(1, len(positions) + 1))


def test_a_run_nobody_takes_expires(tenant: Tenant, thread: Thread) -> None:
    run = ask(tenant, thread, "anybody?")
    assert end.end_all_lost(now=timezone.now()) == 0
    assert end.end_all_lost(now=timezone.now() + timedelta(hours=1)) == 1
    run.refresh_from_db()
    assert (run.status, run.error_code) == ("expired", "not_taken")


def test_followers_see_every_event_once_from_wherever_they_come_in(tenant: Tenant, thread: Thread) -> None:
    run = ask(tenant, thread, "/slow 0.01 /length 60")

    async def read(after: int) -> list[int]:
        return [event.seq async for event in follow(run_id=run.pk, workspace_id=run.workspace_id, after=after)]

    async def together() -> list[list[int]]:
        readers = [asyncio.create_task(read(0)) for _ in range(5)]
        await execute(run_id=run.pk, workspace_id=run.workspace_id)
        late = asyncio.create_task(read(3))
        return list(await asyncio.gather(*readers, late))

    *early, late = asyncio.run(together())
    run.refresh_from_db()
    every = list(range(1, run.last_seq + 1))
    assert early == [every] * 5
    assert late == every[3:]


def test_deleting_the_thread_ends_its_stream(tenant: Tenant, thread: Thread) -> None:
    run, actor = ask(tenant, thread, "/slow 0.05 /length 200"), tenant.actor

    async def delete_in_the_middle() -> list[str]:
        working = asyncio.create_task(execute(run_id=run.pk, workspace_id=run.workspace_id))
        types: list[str] = []
        async for event in follow(run_id=run.pk, workspace_id=run.workspace_id):
            types.append(event.type)
            if types.count("text_delta") == 2 and types[-1] == "text_delta":
                await in_thread(threads.delete)(actor=actor, thread=thread, now=timezone.now())
        await asyncio.wait_for(working, 10)
        return types

    assert asyncio.run(delete_in_the_middle())[-2:] == ["error", "message_stop"]
    assert Message.objects.count() == Run.objects.count() == RunEvent.objects.count() == 0


def test_an_asking_needs_something_to_answer(tenant: Tenant, thread: Thread) -> None:
    with pytest.raises(access.NothingAsked):
        start(actor=tenant.actor, thread=thread, drafts=[], now=timezone.now())


def test_a_foreign_actor_cannot_ask(tenant: Tenant, other_tenant: Tenant, thread: Thread) -> None:
    with pytest.raises(DomainError) as caught:
        ask(other_tenant, thread, "hello")
    assert caught.value.code == "agent_not_found"
    assert thread.messages.count() == 0


def test_that_an_answer_begins_is_told_by_whoever_takes_the_run(tenant: Tenant, thread: Thread) -> None:
    """In the same transaction, and once, however often it is taken."""
    run = ask(tenant, thread, "/say hello")
    for attempt in (1, 2):
        taken = claim(run_id=run.pk, workspace_id=run.workspace_id, now=timezone.now())
        assert taken is not None
        assert (taken.attempt, taken.last_seq) == (attempt, 1)
        assert list(RunEvent.objects.filter(run=run).values_list("seq", "type")) == [(1, "message_start")]
        assert hand_back(run=taken, now=timezone.now())
