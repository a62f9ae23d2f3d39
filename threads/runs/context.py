"""The exact input of the model for a run: the agent's instructions and the newest of the thread that fits."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings

from chat_sessions.models import ChatSession
from threadhub.agents import context
from threadhub.agents.events import ToolCall
from threadhub.agents.providers.request import ContextMessage, DocumentInput, ImageInput, ModelRequest
from threadhub.lib import json
from threads import summaries
from threads.models import Attachment, Message, Run, Summary
from threads.runs.tools import ToolSet, effective

SUMMARY_SHARE = 4  # summaries take a quarter of the budget at most
PAGE = 200  # messages read at a time, newest first, until the budget is spent


def build(*, run: Run, tools: ToolSet, before: int | None = None) -> ModelRequest:
    """What the provider of this run is asked next, from what the thread holds now (before a position)."""
    options = run.options
    agent = run.agent
    earlier = summaries.of_thread(run.thread, before=before)
    told = summaries.as_instructions(earlier, budget=agent.context_budget // SUMMARY_SHARE)
    budget = agent.context_budget - context.tokens(ContextMessage("system", told))
    messages = context.newest_that_fit(_newest_first(run, before, earlier), budget=budget)
    instructions = [context.fill_in(agent.instructions, _variables(run)), told]
    return ModelRequest(
        model=run.model,
        instructions="\n\n".join(filter(None, instructions)) or None,
        messages=tuple(messages),
        tools=tools.specs(),
        temperature=options.get("temperature", agent.temperature),
        top_p=options.get("top_p"),
        max_output_tokens=options.get("max_output_tokens", agent.max_output_tokens),
        stop=tuple(options.get("stop", ())),
        timeout_seconds=settings.PROVIDER_TIMEOUT_SECONDS,
    )


def given(*, run: Run) -> ModelRequest:
    """What the model of this run was last given, or will be given first: the thread as it was before the answer,
    without what came later. Messages that were deleted since are gone from here too."""
    return build(run=run, tools=effective(run), before=_first_after(run))


def _first_after(run: Run) -> int | None:
    """The position of the run's answer, or of what came after a run without one; None while it is live."""
    messages = Message.objects.of_thread(run.thread)
    answer = messages.filter(pk=run.answer_id).first()
    if answer is None and run.finished_at is not None:
        answer = messages.filter(created_at__gt=run.finished_at).first()
    return answer.position if answer is not None else None


def _newest_first(run: Run, position: int | None, earlier: Sequence[Summary]) -> Iterator[ContextMessage]:
    """The thread's messages that no summary stands for."""
    while True:
        rows = Message.objects.of_thread(run.thread).outside(summaries.ranges(earlier))
        rows = rows.order_by("-position").prefetch_related("attachments")
        page = list(rows.before(position)[:PAGE] if position else rows[:PAGE])
        for message in page:
            yield as_context(message)
        if len(page) < PAGE:
            return
        position = page[-1].position


def as_context(message: Message) -> ContextMessage:
    """A stored message as the model is given it."""
    calls = tuple(
        ToolCall(id=call["id"], name=call["name"], arguments=call["arguments"]) for call in message.tool_calls or []
    )
    if message.role == Message.Role.TOOL:
        result = message.content if message.tool_result is None else json.dumps(message.tool_result).decode()
        return ContextMessage("tool", result or "", tool_call_id=message.tool_call_id, tool_name=message.name)
    role: Any = message.role
    inputs = tuple(_input(attachment) for attachment in message.attachments.all())
    return ContextMessage(role, message.content or "", tool_calls=calls, inputs=inputs)


def _input(attachment: Attachment) -> ImageInput | DocumentInput:
    with attachment.file.open("rb") as file:
        data = file.read()
    if attachment.content_type.startswith("image/"):
        return ImageInput(data, attachment.content_type)
    return DocumentInput(data, attachment.content_type, attachment.filename)


def _variables(run: Run) -> dict[str, Any]:
    if run.thread.chat_session_id is None:
        return {}
    variables = (
        ChatSession.objects.filter(pk=run.thread.chat_session_id, workspace_id=run.workspace_id)
        .values_list("system_prompt_variables", flat=True)
        .first()
    )
    return variables or {}
