"""What the model was given, told afterwards."""

import pytest

from tests.conftest import Tenant
from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI
from tests.threads.conftest import answer
from threadhub.agents.context import fingerprint, newest_that_fit, paired
from threadhub.agents.events import ToolCall
from threadhub.agents.providers import ContextMessage
from threads.models import Run, Thread
from threads.runs import context

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
