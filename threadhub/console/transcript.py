"""A thread as a conversation to read: a window of its messages, with tool results beside their calls, what was thought
of the answers, the runs that answered, and the summaries where they stand. Six queries, at any length of the thread,
and one or two more for its branches where it has any. What is archived is read from its bundle."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils.safestring import SafeString

from threadhub.console import display, forks, identities, markup
from threadhub.workspaces.models import User
from threads import branches, summaries
from threads.branches import BEYOND
from threads.lifecycle import reading
from threads.models import Attachment, Branch, Feedback, Message, Run, Summary, Thread
from threads.path import Path

SIZE = 50
RUNS = 200  # runs shown in one window at most
BRANCHES = 50  # of a thread, to turn to; the newest
MARKDOWN_IN_ALL = 200_000  # characters of markdown read per page; what comes after is shown as it stands
LIVE_SHOWN = 50_000  # characters of an answer that is being written: its end
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")


@dataclass(slots=True)
class Call:
    """A tool call with its result, where that stands in the same window. Texts, not escaped."""

    name: str
    arguments: str
    result: str | None = None
    failed: bool = False


@dataclass(slots=True)
class Bubble:
    """A message. `side`: `visitor`, `agent`, `person` (of the staff), `system` or `tool`."""

    message: Message
    side: str
    speaker: str
    html: SafeString
    calls: list[Call] = field(default_factory=list)
    result: str | None = None
    files: list[dict[str, Any]] = field(default_factory=list)
    opinions: list[Feedback] = field(default_factory=list)

    kind = "message"


@dataclass(slots=True)
class RunNote:
    """A run, below what it answered."""

    run: Run
    took: str

    kind = "run"


@dataclass(slots=True)
class SummaryNote:
    """A summary, below the last message it stands for."""

    summary: Summary
    html: SafeString

    kind = "summary"


@dataclass(slots=True)
class ForkNote:
    """Where other branches go on elsewhere, below the last message that they share with the one that is read."""

    position: int
    branches: list[Branch]

    kind = "fork"


Entry = Bubble | RunNote | SummaryNote | ForkNote


@dataclass(slots=True)
class Transcript:
    """`older` and `newer`: the positions to ask the neighbouring windows for; None at the ends."""

    entries: list[Entry]
    older: int | None
    newer: int | None
    live: bool


@dataclass(frozen=True, slots=True)
class Branches:
    """Which branch of a thread is read, and the others: the newest of them. None for a thread that was never forked."""

    shown: Branch
    others: list[Branch]
    active: int

    @property
    def more(self) -> bool:
        """Whether there may be others than those."""
        return len(self.others) == BRANCHES

    @property
    def left(self) -> bool:
        """Whether what is read is not where the thread goes on."""
        return bool(self.others) and self.shown.number != self.active

    @property
    def path(self) -> Path | None:
        """Of what is read; None: of a thread that was never forked."""
        return self.shown.path if self.others else None

    @property
    def query(self) -> str:
        """What keeps links to neighbouring windows on the branch; nothing where it is the only one."""
        return f"branch={self.shown.number}&" if self.others else ""


def branches_of(*, thread: Thread, number: int | None) -> Branches:
    """The branch of that number, the active one without it. Raises BranchNotFound."""
    shown = branches.get(thread=thread, number=thread.branch if number is None else number)
    if thread.path is None:
        return Branches(shown, [], thread.branch)
    return Branches(shown, list(branches.of_thread(thread).order_by("-number")[:BRANCHES]), thread.branch)


def window(
    *,
    thread: Thread,
    turned_to: Branches | None = None,
    before: int | None = None,
    after: int | None = None,
    size: int = SIZE,
) -> Transcript:
    """The newest messages of a branch of a thread (the active one by default), or those next to a position, oldest
    first."""
    path = turned_to.path if turned_to else thread.path
    number = turned_to.shown.number if turned_to else thread.branch
    messages, older, newer = _messages(thread, path, before, after, size)
    runs = _runs(thread, number, messages, newest=newer is None, oldest=older is None)
    parted = forks.of(turned_to.shown, turned_to.others) if turned_to else {}
    if messages:
        least, most = (messages[0].position if older else 0), (messages[-1].position if newer else BEYOND)
        parted = {position: parted[position] for position in sorted(parted) if least <= position <= most}
    entries = list(_entries(_bubbles(thread, messages), runs, _summaries(thread, path, messages), parted))
    return Transcript(entries, older, newer, any(run.live for run in runs))


def _messages(
    thread: Thread, path: Path | None, before: int | None, after: int | None, size: int
) -> tuple[list[Message], int | None, int | None]:
    everywhere: Any = Message.objects.of_all_branches(thread)
    if reading.is_bundled(thread):
        everywhere = reading.ArchivedMessages.of(thread)
    rows = everywhere.on(path).prefetch_related("attachments")
    if after is not None:
        messages = list(rows.after(after)[: size + 1])
        more, messages = len(messages) > size, messages[:size]
        older = messages[0].position if messages and after >= 1 else None
        return messages, older, messages[-1].position if more else None
    rows = rows.order_by("-position")
    messages = list((rows if before is None else rows.before(before))[: size + 1])
    more, messages = len(messages) > size, messages[size - 1 :: -1] if len(messages) > size else messages[::-1]
    newer = messages[-1].position if before is not None and messages else None
    return messages, messages[0].position if more else None, newer


def _runs(thread: Thread, branch: int, messages: Sequence[Message], *, newest: bool, oldest: bool) -> list[Run]:
    """The runs asked within the window's time, oldest first; the newest window has those still to answer too. Of other
    branches only those of which something is in sight."""
    if reading.is_bundled(thread):
        return _archived_runs(thread, branch, messages, newest=newest, oldest=oldest)
    runs = Run.objects.of_thread(thread)
    if messages and not oldest:
        runs = runs.filter(created_at__gte=messages[0].created_at)
    if messages and not newest:
        runs = runs.filter(created_at__lte=messages[-1].created_at)
    shown = {message.run_id for message in messages}
    return [run for run in runs[:RUNS] if run.branch == branch or run.id in shown][::-1]


def _archived_runs(
    thread: Thread, branch: int, messages: Sequence[Message], *, newest: bool, oldest: bool
) -> list[Run]:
    """The same of a bundle, which has no index by time."""
    first = messages[0].created_at if messages and not oldest else None
    last = messages[-1].created_at if messages and not newest else None
    shown = {message.run_id for message in messages}
    found = [
        run
        for run in reading.runs(thread)
        if (first is None or run.created_at >= first) and (last is None or run.created_at <= last)
    ]
    return [run for run in found[:RUNS] if run.branch == branch or run.id in shown][::-1]


def _summaries(thread: Thread, path: Path | None, messages: Sequence[Message]) -> list[Summary]:
    if not messages:
        return []
    within = (messages[0].position, messages[-1].position)
    if reading.is_bundled(thread):
        return [each for each in reading.summaries(thread) if within[0] <= each.to_position <= within[1]]
    rows = Summary.objects.filter(thread_id=thread.pk, workspace_id=thread.workspace_id, to_position__range=within)
    return summaries.on(path, list(rows.order_by("to_position", "from_position")))


def _bubbles(thread: Thread, messages: Sequence[Message]) -> list[Bubble]:
    """One bubble per message, but for tool results, which go to their calls where those are in sight."""
    calls: dict[str, Call] = {}
    bubbles: list[Bubble] = []
    opinions = _opinions(thread, messages)
    staff, asker = _staff(messages), identities.askers([thread]).get(thread.pk, "Visitor")
    budget = MARKDOWN_IN_ALL
    for message in messages:
        if message.role == Message.Role.TOOL and message.tool_call_id in calls:
            _answer(calls[message.tool_call_id or ""], message)
            continue
        text = message.content or ""
        bubble = _bubble(thread, message, asker=asker, plain=len(text) > budget)
        bubble.opinions = opinions.get(message.pk, [])
        if message.by_person:
            bubble.side, bubble.speaker = "person", staff.get(message.author, "A person")
        budget -= len(text)
        for call in message.tool_calls or []:
            made = Call(str(call.get("name", "")), display.pretty(call.get("arguments")))
            calls[str(call.get("id", ""))] = made
            bubble.calls.append(made)
        bubbles.append(bubble)
    return bubbles


def _opinions(thread: Thread, messages: Sequence[Message]) -> dict[UUID, list[Feedback]]:
    """What users and visitors think of the answers, the first to say so first, by the index on the thread."""
    answers = {message.pk for message in messages if message.role == Message.Role.ASSISTANT}
    found: dict[UUID, list[Feedback]] = {}
    if not answers:
        return found
    rows: Iterable[Feedback]
    if reading.is_bundled(thread):
        rows = reading.every_feedback(thread)
    else:
        rows = Feedback.objects.filter(thread_id=thread.pk, workspace_id=thread.workspace_id, message_id__in=answers)
    for each in sorted(rows, key=lambda row: (row.created_at, row.pk)):
        found.setdefault(each.message_id, []).append(each)
    return found


def _staff(messages: Sequence[Message]) -> dict[str, str]:
    """What the people are called who answered in the agent's place, by what messages call them."""
    authors = {message.author for message in messages if message.by_person}
    ids = [author.removeprefix("user:") for author in authors if author.startswith("user:")]
    if not ids:
        return {}
    return {f"user:{user.pk}": user.get_full_name() or user.username for user in User.objects.filter(pk__in=ids)}


def _bubble(thread: Thread, message: Message, *, asker: str, plain: bool) -> Bubble:
    sides = {Message.Role.USER: "visitor", Message.Role.ASSISTANT: "agent", Message.Role.TOOL: "tool"}
    side = sides.get(Message.Role(message.role), "system")
    speakers = {"visitor": asker, "agent": thread.agent.name, "tool": f"Result of {message.name or 'a tool'}"}
    is_result = side == "tool"
    return Bubble(
        message=message,
        side=side,
        speaker=speakers.get(side, "System"),
        html=markup.render("" if is_result else message.content or "", plain=plain),
        result=_result(message) if is_result else None,
        files=[_file(thread, attachment) for attachment in message.attachments.all()],
    )


def _answer(call: Call, message: Message) -> None:
    call.result = _result(message)
    call.failed = isinstance(message.tool_result, dict) and "error" in message.tool_result


def _result(message: Message) -> str:
    return display.pretty(message.content or "" if message.tool_result is None else message.tool_result)


def _file(thread: Thread, attachment: Attachment) -> dict[str, Any]:
    return {
        "name": attachment.filename,
        "type": attachment.content_type,
        "size": attachment.size,
        "id": attachment.wire_id,
        "is_picture": attachment.content_type in PICTURES,
    }


def _entries(
    bubbles: Sequence[Bubble], runs: Sequence[Run], summaries: Sequence[Summary], parted: dict[int, list[Branch]]
) -> Iterator[Entry]:
    """Everything in reading order: a run after the last message it stored, or where it was asked if it stored none."""
    last_of: dict[UUID, int] = {}
    for at, bubble in enumerate(bubbles):
        if bubble.message.run_id:
            last_of[bubble.message.run_id] = at
    placed: dict[int, list[Entry]] = {}
    for summary in summaries:
        at = max((at for at, each in enumerate(bubbles) if each.message.position <= summary.to_position), default=-1)
        placed.setdefault(at, []).append(SummaryNote(summary, markup.render(summary.text)))
    for run in runs:
        asked = max((at for at, each in enumerate(bubbles) if each.message.created_at <= run.created_at), default=-1)
        placed.setdefault(last_of.get(run.id, asked), []).append(RunNote(run, _took(run)))
    for position, others in parted.items():
        at = max((at for at, each in enumerate(bubbles) if each.message.position <= position), default=-1)
        placed.setdefault(at, []).append(ForkNote(position, others))
    yield from placed.get(-1, [])
    for at, bubble in enumerate(bubbles):
        yield bubble
        yield from placed.get(at, [])


def _took(run: Run) -> str:
    """How long the answer took: `1.2 s`."""
    if run.finished_at is None:
        return ""
    seconds = (run.finished_at - (run.started_at or run.created_at)) / timedelta(seconds=1)
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min"
