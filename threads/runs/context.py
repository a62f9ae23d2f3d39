"""The exact input of the model for a run: the agent's instructions and the newest of the thread that fits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from chat_sessions.models import ChatSession
from threadhub.agents import context
from threadhub.agents.events import ToolCall
from threadhub.agents.providers.request import ContextMessage, DocumentInput, ImageInput, ModelRequest
from threadhub.lib import json
from threads import branches, summaries
from threads.models import Attachment, Message, Run, Summary
from threads.runs.tools import ToolSet, effective

SUMMARY_SHARE = 4  # summaries take a quarter of the budget at most
PAGE = 200  # messages read at a time, newest first, until the budget is spent


@dataclass(frozen=True, slots=True)
class Built:
    """What a model is given, and from where in the thread it came."""

    request: ModelRequest
    first: int | None  # positions of the oldest and the newest message in it
    last: int | None
    summary_ids: list[str]

    def record(self) -> dict[str, Any]:
        """What the run keeps, so that it can be told later what the model was given, and proved by the hash."""
        return {
            "hash": context.fingerprint(self.request),
            "first": self.first,
            "last": self.last,
            "summaries": self.summary_ids,
            "instructions": self.request.instructions,
            "tokens": context.tokens_of(self.request),
        }


def build(*, run: Run, tools: ToolSet) -> Built:
    """What the provider of this run is asked next, from what the thread holds now."""
    budget = run.agent.context_budget
    earlier = summaries.of_thread(run.thread)
    told = summaries.as_instructions(earlier, budget=budget // SUMMARY_SHARE)
    left = budget - context.tokens(ContextMessage("system", told))
    placed = context.newest_that_fit(_newest_first(run, earlier), budget=left)
    instructions = "\n\n".join(filter(None, [context.fill_in(run.agent.instructions, _variables(run)), told]))
    return Built(
        _request(run, tools, instructions or None, placed),
        first=placed[0][0] if placed else None,
        last=placed[-1][0] if placed else None,
        summary_ids=[str(summary.id) for summary in earlier],
    )


def given(*, run: Run) -> ModelRequest:
    """What the model of this run was given when it was last asked, or would be given now where it was not asked yet.

    Told from the messages as they stand: what was deleted or changed since shows in a hash that differs from the
    one that the run keeps. So does a change of the agent once the run's own copy of the instructions was dropped.
    """
    tools = effective(run)
    kept = run.context
    if kept is None or kept["first"] is None:
        return build(run=run, tools=tools).request
    earlier = [summary for summary in summaries.of_all_branches(run.thread) if str(summary.id) in kept["summaries"]]
    messages = Message.objects.of_all_branches(run.thread).on(branches.path_with(run.thread, kept["last"]))
    rows = (
        messages.outside(summaries.ranges(earlier))
        .filter(position__gte=kept["first"], position__lte=kept["last"])
        .prefetch_related("attachments")
    )
    if "instructions" in kept:
        instructions = kept["instructions"]
    else:
        instructions = context.fill_in(run.agent.instructions, _variables(run)) or None
    return _request(run, tools, instructions, [(row.position, as_context(row)) for row in rows])


def _request(run: Run, tools: ToolSet, instructions: str | None, placed: Sequence[context.Placed]) -> ModelRequest:
    options = run.options
    agent = run.agent
    return ModelRequest(
        model=run.model,
        instructions=instructions,
        messages=tuple(context.paired(message for _, message in placed)),
        tools=tools.specs(),
        temperature=options.get("temperature", agent.temperature),
        top_p=options.get("top_p"),
        max_output_tokens=options.get("max_output_tokens", agent.max_output_tokens),
        stop=tuple(options.get("stop", ())),
        timeout_seconds=settings.PROVIDER_TIMEOUT_SECONDS,
    )


def _newest_first(run: Run, earlier: Sequence[Summary]) -> Iterator[context.Placed]:
    """The thread's messages that no summary stands for."""
    unsummarized = Message.objects.of_thread(run.thread).outside(summaries.ranges(earlier))
    rows = unsummarized.order_by("-position").prefetch_related("attachments")
    position: int | None = None
    while True:
        page = list(rows[:PAGE] if position is None else rows.before(position)[:PAGE])
        for message in page:
            yield message.position, as_context(message)
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
    """Those of the session that asks; of the one that made the thread where a server or a member asks in it."""
    session_id = run.session_id or run.thread.chat_session_id
    if session_id is None:
        return {}
    variables = (
        ChatSession.objects.filter(pk=session_id, workspace_id=run.workspace_id)
        .values_list("system_prompt_variables", flat=True)
        .first()
    )
    return variables or {}
