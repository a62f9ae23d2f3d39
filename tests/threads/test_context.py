"""What the model was given, told afterwards."""

import asyncio

import pytest
from django.utils import timezone

from chat_sessions import sessions
from chat_sessions.models import ChatSession
from tests.conftest import Tenant
from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI
from tests.threads.conftest import answer
from threadhub.agents.context import fingerprint, newest_that_fit, paired
from threadhub.agents.events import ToolCall
from threadhub.agents.providers import ContextMessage
from threads.actions.messages import Draft, append
from threads.actions.tool_outputs import Output, bring
from threads.models import Run, Thread
from threads.runs import context
from threads.runs.execute import execute
from threads.runs.tools import ToolSet

pytestmark = pytest.mark.django_db(transaction=True)


def told(run: Run) -> list[str]:
    return [message.content for message in context.given(run=run).messages]


def test_it_is_the_input_that_was_sent_also_when_the_thread_went_on(
    tenant: Tenant, thread: Thread, model_server: FakeOpenAI
) -> None:
    model_server.will(fake.answer("one"), fake.answer("two"))
    first = answer(tenant, thread, "first question")
    second = answer(tenant, thread, "second question")
    assert told(first) == ["first question"]
    assert told(second) == ["first question", "one", "second question"]
    sent = [message["content"] for message in model_server.requests[1].body["messages"] if message["role"] != "system"]
    assert told(second) == sent
    for run in (first, second):
        assert fingerprint(context.given(run=run)) == run.context["hash"]


def test_the_hash_shows_that_a_message_was_deleted_since(tenant: Tenant, thread: Thread) -> None:
    answer(tenant, thread, "/say one")
    run = answer(tenant, thread, "/say two")
    thread.messages.filter(position=1)._raw_delete(using="default")
    assert told(run) == ["one", "/say two"]
    assert fingerprint(context.given(run=run)) != run.context["hash"]


def test_instructions_are_those_of_then(tenant: Tenant, thread: Thread) -> None:
    run = answer(tenant, thread, "/say one")
    tenant.agent.instructions = "Now be rude."
    tenant.agent.save()
    run = Run.objects.select_related("agent", "thread").get(pk=run.pk)
    assert "rude" not in (context.given(run=run).instructions or "")
    assert fingerprint(context.given(run=run)) == run.context["hash"]


def message(role: str, content: str, **more: object) -> ContextMessage:
    return ContextMessage(role, content, **more)  # type: ignore[arg-type]


def test_the_newest_messages_that_fit_are_chosen_and_never_none() -> None:
    placed = [(number, message("user", "x" * 40)) for number in range(9, 0, -1)]
    assert [position for position, _ in newest_that_fit(iter(placed), budget=30)] == [8, 9]
    assert [position for position, _ in newest_that_fit(iter(placed), budget=1)] == [9]


def test_half_tool_exchanges_are_left_out() -> None:
    call = ToolCall("c1", "clock", {})
    lost = ToolCall("c2", "clock", {})
    result = message("tool", "noon", tool_call_id="c1", tool_name="clock")
    asked = message("assistant", "let me see", tool_calls=(call, lost))
    assert paired([result, message("user", "hi")]) == [message("user", "hi")]
    assert paired([asked, result]) == [message("assistant", "let me see", tool_calls=(call,)), result]
    assert paired([message("assistant", "", tool_calls=(lost,)), message("user", "hi")]) == [message("user", "hi")]


def test_a_late_result_stands_beside_its_call() -> None:
    call = ToolCall("c1", "clock", {})
    asked, result = message("assistant", "", tool_calls=(call,)), message("tool", "noon", tool_call_id="c1")
    between, again = message("user", "are you there?"), message("assistant", "", tool_calls=(call,))
    assert paired([asked, between, result]) == [asked, result, between]
    second = message("tool", "one", tool_call_id="c1")  # services give the same ids again
    assert paired([asked, between, result, again, second]) == [asked, result, between, again, second]
    assert paired([asked, result, second]) == [asked, result]


def test_a_message_between_a_call_and_its_late_result_makes_no_order_that_a_service_refuses(
    tenant: Tenant, thread: Thread, model_server: FakeOpenAI
) -> None:
    model_server.will(fake.tool_calls(("call_1", "open_door", {})))
    model_server.otherwise = fake.strict
    stopped = answer(tenant, thread, "open it", client_tools=[{"name": "open_door"}])
    assert stopped.status == "requires_action"
    append(actor=tenant.actor, thread=thread, drafts=[Draft(role="user", content="are you there?")])
    going_on = bring(
        actor=tenant.actor, thread=thread, run=stopped, outputs=[Output("call_1", "opened")], now=timezone.now()
    )
    asyncio.run(execute(run_id=going_on.pk, workspace_id=going_on.workspace_id))
    going_on.refresh_from_db()
    assert (going_on.status, going_on.error_code) == ("succeeded", "")


class TestVariables:
    """Of chat sessions, in the agent's instructions."""

    @pytest.fixture
    def sessions_of_two(self, tenant: Tenant) -> list[ChatSession]:
        tenant.agent.instructions = "Say hello to {{name}}."
        tenant.agent.save()
        return [
            sessions.open(
                actor=tenant.actor,
                agent_id=tenant.agent.pk,
                external_ref=name,
                now=timezone.now(),
                system_prompt_variables={"name": name},
            ).session
            for name in ("Ada", "Bob")
        ]

    def instructions(self, tenant: Tenant, thread: Thread, **fields: object) -> str | None:
        run = Run.objects.create(workspace=tenant.workspace, thread=thread, agent=tenant.agent, number=1, **fields)
        return context.build(run=run, tools=ToolSet({}, {})).request.instructions

    def test_they_are_those_of_the_session_that_asks(
        self, tenant: Tenant, thread: Thread, sessions_of_two: list[ChatSession]
    ) -> None:
        ada, bob = sessions_of_two
        thread.chat_session = ada
        thread.save()
        assert self.instructions(tenant, thread, session_id=bob.pk) == "Say hello to Bob."

    def test_a_server_asks_with_those_of_the_session_that_made_the_thread(
        self, tenant: Tenant, thread: Thread, sessions_of_two: list[ChatSession]
    ) -> None:
        thread.chat_session = sessions_of_two[0]
        thread.save()
        assert self.instructions(tenant, thread) == "Say hello to Ada."
