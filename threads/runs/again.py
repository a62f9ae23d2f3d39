"""Asking again: an answer is given anew, or a question put in other words. What was there stays as a branch."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from threadhub.agents import access as agents
from threadhub.agents.models import DoubleTexting
from threadhub.lib.errors import Invalid
from threadhub.workspaces.actor import Actor
from threads import access, branches
from threads.actions.feedback import NotAnAnswer
from threads.actions.messages import Draft
from threads.models import Message, Thread
from threads.runs.start import Started, Wish, make_idle, start


class NotAQuestion(Invalid):
    """Only messages of the user are edited."""

    code = "not_a_question"


def regenerate(*, actor: Actor, thread: Thread, message: Message, now: datetime, wish: Wish | None = None) -> Started:
    """Ask again what an answer answered: on a new branch, from before everything that its run added.

    Raises NotAnAnswer, NothingAsked where nothing comes before it, and what `edit` raises.
    """
    if message.role != Message.Role.ASSISTANT:
        raise NotAnAnswer("Only messages of the assistant are regenerated.")
    return _ask_again(actor=actor, thread=thread, message=message, drafts=(), now=now, wish=wish or Wish())


def edit(
    *,
    actor: Actor,
    thread: Thread,
    message: Message,
    drafts: Sequence[Draft],
    now: datetime,
    wish: Wish | None = None,
) -> Started:
    """Ask the drafts in the place of a message of the user, on a new branch from before it.

    A run of the thread that is under way is not waited for: it is interrupted where the request, or else the agent,
    has that strategy. Raises NotAQuestion, MessageNotFound, ThreadRunning, BranchLimit, and what `start` raises.
    """
    if message.role != Message.Role.USER:
        raise NotAQuestion
    return _ask_again(actor=actor, thread=thread, message=message, drafts=drafts, now=now, wish=wish or Wish())


@transaction.atomic
def _ask_again(
    *, actor: Actor, thread: Thread, message: Message, drafts: Sequence[Draft], now: datetime, wish: Wish
) -> Started:
    agent = agents.get_to_invoke(actor=actor, agent_id=thread.agent_id)
    locked = access.lock(thread=thread)
    strategy = wish.double_texting or agent.double_texting
    make_idle(actor=actor, thread=locked, interrupting=strategy == DoubleTexting.INTERRUPT, now=now)
    locked = access.lock(thread=thread)  # what was said of an interrupted answer has taken a position
    branches.fork(thread=locked, before=_first_of_answer(locked, message), actor=actor, now=now)
    return start(actor=actor, thread=locked, drafts=drafts, now=now, wish=wish)


def _first_of_answer(thread: Thread, message: Message) -> int:
    """The position of the first message of the run that gave this one; its own where no run did. Raises
    MessageNotFound for one that was deleted meanwhile."""
    rows = Message.objects.of_all_branches(thread).order_by()
    if not rows.filter(pk=message.pk).exists():
        raise access.MessageNotFound
    if message.run_id is None:
        return message.position
    # Those of one run are few, by an index; in the order of the thread it would be read from its start.
    return min(rows.filter(run_id=message.run_id).values_list("position", flat=True))
