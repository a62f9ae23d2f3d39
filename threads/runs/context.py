"""The exact input of the model for a run: the agent's instructions and the newest of the thread that fits."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import Exists

from chat_sessions.models import ChatSession
from threadhub.agents import context
from threadhub.agents.events import ToolCall
from threadhub.agents.providers.request import ContextMessage, DocumentInput, ImageInput, ModelRequest
from threadhub.lib import json
from threadhub.lib.compiled import Compiled
from threads import access, branches, summaries
from threads.lifecycle import reading
from threads.models import Attachment, Message, Run, Summary, Thread
from threads.querysets.messages import MessageQuerySet
from threads.runs.tools import ToolSet, effective

SUMMARY_SHARE = 4  # summaries take a quarter of the budget at most
FIRST_PAGE = 200  # messages read at first, newest first; then twice as many each time, until the budget is spent


@dataclass(frozen=True, slots=True)
class Built:
    """What a model is given, and from where in the thread it came."""

    request: ModelRequest
    tools: ToolSet
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


def build(*, run: Run, tools: ToolSet | None = None) -> Built:
    """What the provider of this run is asked next, from what the thread holds now. `tools`: None where they are not
    known yet."""
    tools = tools if tools is not None else effective(run)
    budget = run.agent.context_budget
    earlier = summaries.of_thread(run.thread)
    told = summaries.as_instructions(earlier, budget=budget // SUMMARY_SHARE)
    left = budget - context.tokens(ContextMessage("system", told))
    placed = context.newest_that_fit(_newest_first(run, earlier), budget=left)
    instructions = "\n\n".join(filter(None, [context.fill_in(run.agent.instructions, _variables(run)), told]))
    return Built(
        _request(run, tools, instructions or None, placed),
        tools,
        first=placed[0][0] if placed else None,
        last=placed[-1][0] if placed else None,
        summary_ids=[str(summary.id) for summary in earlier],
    )


def given(*, run: Run) -> ModelRequest:
    """What the model of this run was given when it was last asked, or would be given now where it was not asked yet.
    Raises ThreadArchived where it was not asked and its thread lies in a bundle.

    Told from the messages as they stand: what was deleted or changed since shows in a hash that differs from the
    one that the run keeps. So does a change of the agent once the run's own copy of the instructions was dropped.
    """
    tools = effective(run)
    kept = run.context
    bundled = reading.is_bundled(run.thread)
    if kept is None or kept["first"] is None:
        if bundled:
            raise access.ThreadArchived("This run never asked its model, and its thread is archived.")
        return build(run=run, tools=tools).request
    every = reading.every_summary(run.thread) if bundled else summaries.of_all_branches(run.thread)
    earlier = [summary for summary in every if str(summary.id) in kept["summaries"]]
    placed = _archived(run, kept, earlier) if bundled else _live(run, kept, earlier)
    if "instructions" in kept:
        instructions = kept["instructions"]
    else:
        instructions = context.fill_in(run.agent.instructions, _variables(run)) or None
    return _request(run, tools, instructions, placed)


def _live(run: Run, kept: dict[str, Any], earlier: Sequence[Summary]) -> list[context.Placed]:
    messages = Message.objects.of_all_branches(run.thread).on(branches.path_with(run.thread, kept["last"]))
    covered = messages.outside(summaries.ranges(earlier)).filter(
        position__gte=kept["first"], position__lte=kept["last"]
    )
    return _read(run.thread, covered)


def _archived(run: Run, kept: dict[str, Any], earlier: Sequence[Summary]) -> list[context.Placed]:
    messages = reading.ArchivedMessages.of(run.thread).on(branches.path_with(run.thread, kept["last"]))
    told = summaries.ranges(earlier)
    return [
        (message.position, _as_context(Row.of(message), message.attachments.all()))
        for message in messages.after(kept["first"] - 1).before(kept["last"] + 1)
        if not any(first <= message.position <= last for first, last in told)
    ]


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
    rows = unsummarized.order_by("-position")
    size, position = FIRST_PAGE, None
    while True:
        if position is None and run.thread.path is None and not earlier:
            page = _placed(_newest(thread_id=run.thread_id, workspace_id=run.workspace_id))
        else:
            page = _read(run.thread, (rows if position is None else rows.before(position))[:size])
        yield from page
        if len(page) < size:
            return
        size, position = size * 2, page[-1][0]


@Compiled
def _newest(thread_id: UUID, workspace_id: UUID) -> Any:
    """The first page of a thread that was neither forked nor summarized."""
    rows = Message.objects.filter(thread_id=thread_id, workspace_id=workspace_id).order_by("-position")
    return _rows(rows[:FIRST_PAGE], thread_id, workspace_id)


def _read(thread: Thread, messages: MessageQuerySet) -> list[context.Placed]:
    return _placed(_rows(messages, thread.pk, thread.workspace_id))


def _rows(messages: MessageQuerySet, thread_id: UUID, workspace_id: UUID) -> Any:
    """Rows and not objects: a full budget is some thousand messages, and nobody has seen a word of the answer yet.
    Their last value: whether any message of the thread has a file."""
    any_files = Exists(Attachment.objects.filter(thread_id=thread_id, workspace_id=workspace_id))
    return messages.annotate(any_files=any_files).values_list(*Row._fields, "any_files")


def _placed(found: Iterable[Any]) -> list[context.Placed]:
    found = list(found)
    rows = [Row(*values) for *values, _ in found]
    files: dict[UUID, list[Attachment]] = {}
    if found and found[0][-1]:
        for attachment in Attachment.objects.filter(message_id__in=[row.id for row in rows]):
            files.setdefault(attachment.message_id, []).append(attachment)
    return [(row.position, _as_context(row, files.get(row.id, ()))) for row in rows]


class Row(NamedTuple):
    """What of a stored message a model is given."""

    id: UUID
    position: int
    role: Any
    content: str | None
    name: str | None
    tool_calls: list[dict[str, Any]] | None
    tool_call_id: str | None
    tool_result: Any

    @classmethod
    def of(cls, message: Message) -> "Row":
        return cls(*(getattr(message, name) for name in cls._fields))


def _as_context(row: Row, attachments: Iterable[Attachment]) -> ContextMessage:
    if row.role == Message.Role.TOOL:
        result = row.content if row.tool_result is None else json.dumps(row.tool_result).decode()
        return ContextMessage("tool", result or "", tool_call_id=row.tool_call_id, tool_name=row.name)
    calls = tuple(
        ToolCall(id=call["id"], name=call["name"], arguments=call["arguments"]) for call in row.tool_calls or ()
    )
    inputs = tuple(_input(attachment) for attachment in attachments)
    return ContextMessage(row.role, row.content or "", tool_calls=calls, inputs=inputs)


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
