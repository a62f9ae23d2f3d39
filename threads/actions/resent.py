"""Asking with messages of which some may be in the thread already.

Clients of the `ai` dialect send either the new messages only, or with each request the whole conversation as they know
it. Stored twice it would be worthless, so what is there already is told from what is new.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from django.db import transaction

from threadhub.lib.errors import Invalid
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads import access
from threads.actions import temporary
from threads.actions.messages import Draft
from threads.models import Message, Thread
from threads.runs.start import Started, Wish, start

COLUMNS = ("position", "role", "content", "tool_calls", "tool_call_id", "sent_at", "created_at")
TAIL = 50  # newest messages that are looked at where the request cannot be a resent conversation


class UnknownToolCall(Invalid):
    """A tool message must answer a tool call of this thread."""

    code = "unknown_tool_call"


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as a client sent it. `timestamp` and `message_id`: what it says of itself, where it does."""

    draft: Draft
    timestamp: datetime | None = None
    message_id: UUID | None = None


@transaction.atomic
def ask(*, actor: Actor, thread: Thread, sent: Sequence[Sent], now: datetime, wish: Wish) -> Started:
    """Append what is new of the sent messages and queue a run.

    A client that only resends a question that was not answered asks it again. Raises NothingAsked where everything
    sent is answered, UnknownToolCall, and what `start` raises.
    """
    locked = access.lock(thread=thread)
    drafts = unstored(thread=locked, sent=sent)
    last = Message.objects.of_thread(locked).last()
    if not drafts and (last is None or (last.role == Message.Role.ASSISTANT and not last.partial)):
        raise access.NothingAsked
    return start(actor=actor, thread=locked, drafts=drafts, now=now, wish=wish)


@transaction.atomic
def ask_alone(*, actor: Actor, agent_id: UUID, sent: Sequence[Sent], now: datetime, wish: Wish) -> Started:
    """Ask without a thread: the sent messages are the whole context, after the agent's instructions.

    System messages count only from those who may append any message; the others' are dropped. Raises NothingAsked.
    """
    drafts = [each.draft for each in sent]
    if not actor.may(Permission.MESSAGE_APPEND):
        drafts = [draft for draft in drafts if draft.role != Message.Role.SYSTEM]
    if not any(draft.role in (Message.Role.USER, Message.Role.TOOL) for draft in drafts):
        raise access.NothingAsked
    _check_calls(drafts, known=set())
    thread = temporary.create(actor=actor, agent_id=agent_id, now=now)
    return start(actor=actor, thread=thread, drafts=drafts, now=now, wish=wish)


def unstored(*, thread: Thread, sent: Sequence[Sent]) -> list[Draft]:
    """The drafts of what is new, in the order sent.

    New are: results of tools and calls for tools that the thread does not have; and messages of the user, unless the
    thread has the same words with the same id or time, or the same words before an answer that was sent along, or at
    its end without an answer. Answers in plain words are the thread's own, and instructions the agent's: both are
    dropped.

    A client that knows no branches may still hold the course of the conversation that was left: what any branch has is
    known. Only the active branch can be gone on with, so it alone has questions to be answered and calls to be done.
    """
    resent = any(each.timestamp or each.message_id or each.draft.role != Message.Role.USER for each in sent)
    stored = _Stored(thread, everything=resent)
    answered = max((at for at, each in enumerate(sent) if stored.has_answer(each.draft)), default=-1)
    drafts: list[Draft] = []
    for at, each in enumerate(sent):
        match each.draft.role:
            case Message.Role.USER:
                is_new = not stored.take_words(each, answered=at < answered)
            case Message.Role.ASSISTANT:
                is_new = bool(each.draft.tool_calls) and not stored.has_answer(each.draft)
            case Message.Role.TOOL:
                is_new = not stored.has_answer(each.draft)
            case _:
                is_new = False
        if is_new:
            drafts.append(_remembering(each))
            stored.results.add(each.draft.tool_call_id)
    _check_calls(drafts, known=stored.calls)
    return drafts


class _Stored:
    """What a thread holds, as far as it takes to recognize messages."""

    def __init__(self, thread: Thread, *, everything: bool) -> None:
        self.ids: set[UUID] = set()
        self.said_at: set[tuple[str, str, datetime]] = set()
        self.words: Counter[tuple[str, str]] = Counter()
        self.unanswered: Counter[tuple[str, str]] = Counter()
        self.calls: set[str] = set()
        self.results: set[str | None] = set()
        self.calls_elsewhere: set[str] = set()  # of branches that are not active
        self.results_elsewhere: set[str | None] = set()
        messages = Message.objects.of_all_branches(thread) if everything else Message.objects.of_thread(thread)
        rows = messages.order_by("-position").only(*COLUMNS)
        for message in reversed(rows if everything else rows[:TAIL]):
            self._add(message)
            if thread.path is None or message.position in thread.path:
                self._go_on(message)
            else:
                self._leave_aside(message)

    def _add(self, message: Message) -> None:
        words = (message.role, message.content or "")
        self.ids.add(message.id)
        self.words[words] += 1
        self.said_at.add((*words, _to_millisecond(message.created_at)))
        if message.sent_at is not None:
            self.said_at.add((*words, message.sent_at))

    def _go_on(self, message: Message) -> None:
        if message.role == Message.Role.USER:
            self.unanswered[message.role, message.content or ""] += 1
            return
        self.unanswered.clear()
        self.calls.update(call["id"] for call in message.tool_calls or [])
        if message.role == Message.Role.TOOL:
            self.results.add(message.tool_call_id)

    def _leave_aside(self, message: Message) -> None:
        self.calls_elsewhere.update(call["id"] for call in message.tool_calls or [])
        if message.role == Message.Role.TOOL:
            self.results_elsewhere.add(message.tool_call_id)

    def has_answer(self, draft: Draft) -> bool:
        """Whether this message of an assistant or a tool is the thread's own."""
        if draft.role == Message.Role.TOOL:
            # Models number their calls anew on each branch: the active one's may wait for what another has.
            elsewhere = draft.tool_call_id in self.results_elsewhere and draft.tool_call_id not in self.calls
            return draft.tool_call_id in self.results or elsewhere
        if draft.role == Message.Role.ASSISTANT and draft.tool_calls:
            return {call["id"] for call in draft.tool_calls} <= self.calls | self.calls_elsewhere
        return draft.role == Message.Role.ASSISTANT and self.words[draft.role, draft.content or ""] > 0

    def take_words(self, sent: Sent, *, answered: bool) -> bool:
        """Whether this message of the user is stored; each stored one stands for one sent without id and time."""
        words = (sent.draft.role, sent.draft.content or "")
        timed = sent.timestamp is not None and (*words, _to_millisecond(sent.timestamp)) in self.said_at
        if timed or sent.message_id in self.ids:
            self.words[words] -= 1
            return True
        candidates = self.words if answered else self.unanswered
        if candidates[words] <= 0 or (sent.timestamp is not None and not answered):
            return False
        candidates[words] -= 1
        return True


def _remembering(sent: Sent) -> Draft:
    """The draft, with the time that the client gave its message, by which it will be known when it is sent again."""
    if sent.timestamp is None:
        return sent.draft
    return replace(sent.draft, sent_at=_to_millisecond(sent.timestamp))


def _check_calls(drafts: Sequence[Draft], *, known: set[str]) -> None:
    calls = set(known)
    for draft in drafts:
        calls.update(call["id"] for call in draft.tool_calls or [])
        if draft.role == Message.Role.TOOL and draft.tool_call_id not in calls:
            raise UnknownToolCall


def _to_millisecond(moment: datetime) -> datetime:
    """As precise as times are on the wire."""
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
