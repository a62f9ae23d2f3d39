"""Titles: what an agent calls a thread after its first exchange, where no person has named it.

Made after an answer, as summaries are: nothing waits for it, and what fails is tried again after the next answer. A
title is written only onto a thread that has none, so a person's always wins, whoever is first. It counts as no
activity and moves no time of the thread.
"""

import re
import unicodedata
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from threadhub.agents import budgets
from threadhub.agents.models import Agent
from threadhub.agents.provider_errors import ProviderError
from threadhub.lib.asynchronous import in_thread
from threadhub.lib.compiled import Compiled
from threads import own_asking, tasks
from threads.models import Message, Run, Thread

AFTER_SECONDS = 1  # other answers that end in the same moment are not held up
LONGEST = 80  # characters of a title
SHOWN = 2_000  # characters of each message that the model is shown
EXCHANGE = 6  # messages looked at for the first question and its answer
MAX_TOKENS = 400
INSTRUCTIONS = (
    "Give the conversation below a title of at most six words, in its language. Write only the title,"
    " without quotes and without a full stop."
)
QUOTES = "\"'`*_«»‹›„“”‚‘’「」『』 "  # and what marks emphasis
LABEL = re.compile(r"^(title|titel|titre|título|titolo)\s*:\s*", re.IGNORECASE)


def request_after(run: Run, *, thread: Thread, agent: Agent) -> None:
    """Have a title made after an answered run, where the thread wants one. Inside a transaction."""
    if run.status != Run.Status.SUCCEEDED or not wanted(thread) or not agent.titles:
        return
    titling = tasks.title.configure(lock=f"title:{thread.id}", schedule_in={"seconds": AFTER_SECONDS})
    titling.defer(thread_id=str(thread.id), workspace_id=str(thread.workspace_id))


def wanted(thread: Thread) -> bool:
    """Whether nobody has named the thread, and it is one that is listed."""
    return thread.title is None and thread.title_source is None and thread.state == Thread.State.ACTIVE


async def make(*, thread_id: UUID, workspace_id: UUID) -> str | None:
    """Ask the thread's agent for a title and set it; None where none is wanted any more, or none came of it."""
    found = await in_thread(_to_be_named, behind=True)(thread_id=thread_id, workspace_id=workspace_id)
    if found is None:
        return None
    thread, text = found
    try:
        said = await own_asking.ask(
            agent=thread.agent, purpose="title", instructions=INSTRUCTIONS, text=text, max_tokens=MAX_TOKENS
        )
    except ProviderError:
        return None
    title = cleaned(said)
    return title if title and await in_thread(keep)(thread=thread, title=title) else None


def keep(*, thread: Thread, title: str) -> bool:
    """Set an agent's title, unless somebody has set one meanwhile. True when it is set."""
    unnamed = Thread.objects.filter(
        pk=thread.pk,
        workspace_id=thread.workspace_id,
        title__isnull=True,
        title_source__isnull=True,
        state=Thread.State.ACTIVE,
    )
    return bool(unnamed.update(title=title, title_source=Thread.TitleSource.AGENT))


def cleaned(said: str) -> str:
    """The first line of what a model said with words in it as a title: no quotes, no control characters, not long."""
    visible = "".join(
        " " if unicodedata.category(sign) in ("Cc", "Cf", "Zl", "Zp") and sign not in "\n\u200d" else sign
        for sign in said
    )
    for line in visible.splitlines():
        title = LABEL.sub("", " ".join(line.lstrip(QUOTES + "#").split())).lstrip(QUOTES).rstrip(QUOTES + ".")
        if title:
            return title if len(title) <= LONGEST else _shortened(title)
    return ""


def first_exchange(thread: Thread) -> str:
    """The first question and the first answer as text; empty where one of them has no words."""
    rows = Message.objects.of_thread(thread).filter(role__in=(Message.Role.USER, Message.Role.ASSISTANT))
    said: dict[str, str] = {}
    for role, content in rows.order_by("position").values_list("role", "content")[:EXCHANGE]:
        if content and content.strip() and (role == Message.Role.USER or Message.Role.USER in said):
            said.setdefault(role, f"{role}: {content.strip()[:SHOWN]}")
    return "\n".join(said.values()) if len(said) == 2 else ""


def _to_be_named(*, thread_id: UUID, workspace_id: UUID) -> tuple[Thread, str] | None:
    """A thread with its agent, and its first exchange; None where it wants no title, or may have none (yet)."""
    thread: Any = next(iter(_with_agent(thread_id=thread_id, workspace_id=workspace_id)), None)
    if thread is None or not wanted(thread) or not thread.agent.titles or not thread.agent.active:
        return None
    if thread.budgeted and budgets.exceeded(agent=thread.agent) is not None:
        return None
    text = first_exchange(thread)
    return (thread, text) if text else None


@Compiled
def _with_agent(thread_id: UUID, workspace_id: UUID) -> QuerySet[Thread]:
    threads = Thread.objects.filter(pk=thread_id, workspace_id=workspace_id).select_related("agent")
    return threads.annotate(budgeted=budgets.over(agent="agent_id")).order_by()


def _shortened(title: str) -> str:
    """Cut before the last word that is too much, or within it where it is the only one."""
    start, space, _ = title[: LONGEST - 1].rpartition(" ")
    return f"{(start if space and len(start) > LONGEST // 2 else title[: LONGEST - 1]).rstrip()}…"
