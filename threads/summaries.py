"""Summaries: texts by the agent's own provider that stand for older messages when a thread outgrows the budget.

Made after an answer, never before one, so no asking waits for them. A range is summarized once: the thread's row is
locked while a summary is stored, and one whose messages were changed or summarized meanwhile is thrown away.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from threadhub.agents import budgets, context
from threadhub.agents.models import Agent
from threadhub.agents.provider_errors import ProviderError
from threadhub.agents.providers import ContextMessage, ModelRequest
from threadhub.lib.asynchronous import in_thread
from threadhub.lib.compiled import Compiled
from threads import own_asking
from threads.models import Branch, Message, Summary, Thread
from threads.path import OnPath, Path, on_path

FULL = 0.75  # of the budget: from here on the older messages are summarized …
KEPT = 0.5  # … and this much stays as it is
CHUNKS_AT_ONCE = 4  # summaries made per job; a long thread that was imported is caught up with run by run
MAX_TOKENS = 1_000
PAGE = 500
INSTRUCTIONS = (
    "Summarize the conversation below for the assistant who will continue it. Keep names, numbers, decisions,"
    " wishes and open questions. At most 200 words. Write only the summary, in the language of the conversation."
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Messages to be summarized: their range, and their text with one line a message."""

    thread: Thread
    agent: Agent
    from_position: int
    to_position: int
    count: int
    text: str


def of_thread(thread: Thread) -> list[Summary]:
    """The summaries that stand for messages of a thread's active branch, in order."""
    return on(thread.path, of_all_branches(thread))


def of_all_branches(thread: Thread) -> list[Summary]:
    """Every summary of a thread, by where it begins."""
    return _of_thread(thread_id=thread.id, workspace_id=thread.workspace_id)


@Compiled
def _of_thread(thread_id: UUID, workspace_id: UUID) -> "QuerySet[Summary]":
    return Summary.objects.filter(thread_id=thread_id, workspace_id=workspace_id).order_by(
        "from_position", "to_position"
    )


def on(path: Path | None, summaries: Sequence[Summary]) -> list[Summary]:
    """Those that are good on a branch: it has the last message they stand for, so it has the others too."""
    return [summary for summary in summaries if path is None or summary.to_position in path]


def ranges(summaries: Sequence[Summary]) -> list[tuple[int, int]]:
    """What the summaries stand for, adjacent ranges as one."""
    merged: list[tuple[int, int]] = []
    for summary in summaries:
        if merged and merged[-1][1] + 1 >= summary.from_position:
            merged[-1] = (merged[-1][0], max(merged[-1][1], summary.to_position))
        else:
            merged.append((summary.from_position, summary.to_position))
    return merged


def as_instructions(summaries: Sequence[Summary], *, budget: int) -> str:
    """The newest summaries that fit, for the end of the model's instructions; empty where there are none."""
    told: list[str] = []
    for summary in reversed(summaries):
        text = f"Messages {summary.from_position} to {summary.to_position}: {summary.text}"
        budget -= context.tokens(ContextMessage("system", text))
        if budget < 0:
            break
        told.insert(0, text)
    return "\n".join(["Earlier in this conversation, in short:", *told]) if told else ""


def is_due(request: ModelRequest, *, budget: int) -> bool:
    """Whether what a model was given fills so much of the budget that older messages should be summarized."""
    return sum(map(context.tokens, request.messages)) > FULL * budget


async def summarize(*, thread_id: UUID, workspace_id: UUID) -> int:
    """Summarize a thread's older messages until the rest is well within the budget; returns how many were made.

    A provider that fails ends it: the next answer of the thread tries again.
    """
    for made in range(CHUNKS_AT_ONCE):
        chunk = await in_thread(next_chunk, behind=True)(thread_id=thread_id, workspace_id=workspace_id)
        if chunk is None or await in_thread(budgets.exceeded, behind=True)(agent=chunk.agent) is not None:
            return made
        try:
            text = await _ask(chunk)
        except ProviderError:
            return made
        if not await in_thread(keep)(chunk=chunk, text=text):
            return made
    return CHUNKS_AT_ONCE


def next_chunk(*, thread_id: UUID, workspace_id: UUID) -> Chunk | None:
    """The newest messages that no longer fit beside those that stay; None while there is room enough."""
    thread = Thread.objects.select_related("agent").filter(pk=thread_id, workspace_id=workspace_id).first()
    if thread is None:
        return None
    budget = thread.agent.context_budget
    spent = 0
    older: list[tuple[int, str]] = []
    ends = {summary.to_position for summary in of_thread(thread)}
    for position, line in _lines_newest_first(thread):
        spent += context.tokens(ContextMessage("user", line))
        if older and (spent > budget or any(position <= end < older[-1][0] for end in ends)):
            break  # enough for one summary, or a gap that another summary fills
        if spent > KEPT * budget:
            older.append((position, line))
    if spent <= FULL * budget or not older:
        return None
    older.reverse()
    text = "\n".join(line for _, line in older)
    return Chunk(thread, thread.agent, older[0][0], older[-1][0], len(older), text)


@transaction.atomic
def keep(*, chunk: Chunk, text: str) -> bool:
    """Store a summary, unless its messages were changed or summarized since they were read. True when it is kept."""
    thread = Thread.objects.select_for_update().filter(pk=chunk.thread.pk).first() if text.strip() else None
    if thread is None:
        return False
    covered = Message.objects.of_thread(thread).filter(
        position__gte=chunk.from_position, position__lte=chunk.to_position
    )
    if "\n".join(line_of(message) for message in covered) != chunk.text:
        return False
    if any(
        each.from_position <= chunk.to_position and each.to_position >= chunk.from_position
        for each in of_thread(thread)
    ):
        return False
    Summary.objects.create(
        workspace_id=thread.workspace_id,
        thread=thread,
        from_position=chunk.from_position,
        to_position=chunk.to_position,
        text=text.strip(),
    )
    return True


def void(*, thread: Thread, position: int) -> None:
    """Remove the summaries that stand for a message which was changed or removed. With the thread locked."""
    around = Summary.objects.filter(
        thread=thread, workspace_id=thread.workspace_id, from_position__lte=position, to_position__gte=position
    )
    if thread.path is not None:  # a range may go around what other branches have in between
        having_both = Branch.objects.filter(
            OnPath(F("path"), OuterRef("to_position")), on_path(F("path"), position), thread=thread
        )
        around = around.filter(Exists(having_both.filter(workspace_id=thread.workspace_id)))
    around.delete()


def line_of(message: Message) -> str:
    """A message as a line of the text that is summarized."""
    calls = " ".join(f"[calls {call['name']} {call['arguments']}]" for call in message.tool_calls or [])
    result = str(message.tool_result) if message.tool_result is not None else ""
    said = " ".join(filter(None, [message.content, calls, result])).replace("\n", " ")
    return f"{message.role}: {said}"


def _lines_newest_first(thread: Thread) -> Iterator[tuple[int, str]]:
    """Position and line of the messages that no summary stands for yet."""
    unsummarized = Message.objects.of_thread(thread).outside(ranges(of_thread(thread))).order_by("-position")
    position: int | None = None
    while True:
        page = list((unsummarized if position is None else unsummarized.before(position))[:PAGE])
        for message in page:
            yield message.position, line_of(message)
        if len(page) < PAGE:
            return
        position = page[-1].position


async def _ask(chunk: Chunk) -> str:
    longest = chunk.agent.context_budget * context.CHARACTERS_PER_TOKEN
    return await own_asking.ask(
        agent=chunk.agent,
        purpose="summary",
        instructions=INSTRUCTIONS,
        text=chunk.text[:longest],
        max_tokens=MAX_TOKENS,
    )
