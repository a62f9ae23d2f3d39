"""The one search box over threads: an id, else words of the title, the reference or the messages.

Each of the three looks in its own index (threads/migrations/0003) and brings its newest at most, CANDIDATES threads and
MESSAGES, so that a common word costs as much as a rare one; where it found so many, the page says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib.postgres.search import SearchQuery, SearchVectorField
from django.db.models import F, Func, Q, QuerySet

from chat_sessions.models import ChatSession
from threadhub.console.filters import decoded
from threadhub.workspaces.models import User, Workspace
from threads.models import Message, Run, Thread

CANDIDATES = 1_000
# A common word is looked for in each of the newest messages, a tenth of a millisecond each. Fewer than these, and
# PostgreSQL takes that way for words too that are together far rarer than apart: minutes at twenty million messages.
MESSAGES = 1_000


class Words(Func):
    """The indexed expression of message_text, letter for letter: only so does PostgreSQL use the index."""

    template = "to_tsvector('simple', left(%(expressions)s, 100000))"
    output_field = SearchVectorField()


@dataclass(frozen=True, slots=True)
class Found:
    """Those of the threads that a term finds, and of those found by their messages the newest such message."""

    threads: QuerySet[Thread]
    messages: dict[UUID, UUID] = field(default_factory=dict)
    capped: bool = False  # there may be more, in older messages and threads


def find(*, threads: QuerySet[Thread], workspaces: list[UUID] | None, term: str) -> Found:
    """Those of `threads` that the term finds. `workspaces`: where the reader may look; None: everywhere."""
    by_id = _by_id(term)
    if by_id is not None:
        return Found(threads.filter(by_id))
    where = _where(workspaces)
    said: dict[UUID, UUID] = {}
    saying, titled = list(_saying(where, term)), list(_titled(where, term))
    for thread_id, message_id in saying:
        said.setdefault(thread_id, message_id)
    capped = len(saying) == MESSAGES or len(titled) == CANDIDATES
    return Found(threads.filter(pk__in={*titled, *_referenced(where, term), *said}), said, capped)


def _by_id(term: str) -> Q | None:
    """Wire ids lead to their threads: a thread's own, and those of its messages, runs, session and user."""
    ways: dict[str, Callable[[UUID], Q]] = {
        Thread.PREFIX: lambda pk: Q(pk=pk),
        Message.PREFIX: lambda pk: Q(pk__in=Message.objects.filter(pk=pk).order_by().values("thread_id")),
        Run.PREFIX: lambda pk: Q(pk__in=Run.objects.filter(pk=pk).order_by().values("thread_id")),
        ChatSession.PREFIX: lambda pk: Q(chat_session_id=pk),
        User.PREFIX: lambda pk: Q(workspace__in=Workspace.objects.order_by().values("pk"), user_id=pk),
    }
    prefix = term.rpartition("_")[0]
    pk = decoded(prefix, term) if prefix in ways else None
    return ways[prefix](pk) if pk else None


def _where(workspaces: list[UUID] | None) -> Q:
    """A condition on the workspace, always: the indexes begin with it."""
    every = Workspace.objects.order_by().values("pk")
    return Q(workspace_id__in=every if workspaces is None else workspaces)


def _titled(where: Q, term: str) -> Any:
    rows = Thread.objects.filter(where, title__icontains=term)
    return rows.order_by("-pk").values_list("pk", flat=True)[:CANDIDATES]


def _referenced(where: Q, term: str) -> Any:
    return Thread.objects.filter(where, external_ref=term).order_by("-pk").values_list("pk", flat=True)[:CANDIDATES]


def _saying(where: Q, term: str) -> Any:
    query = SearchQuery(term, config="simple", search_type="websearch")
    rows = Message.objects.annotate(words=Words(F("content"))).filter(where, words=query, searchable=True)
    # By key, which is by time: PostgreSQL reads the key from its end for a common word, message_text for a rare one.
    return rows.order_by("-pk").values_list("thread_id", "pk")[:MESSAGES]
