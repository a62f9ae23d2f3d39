"""The one search box over threads: an id, else words of the title, the beginning of the reference or words of messages.

What was said in workspaces that want a reason before anybody reads there is not searched: that words are found would
tell that they were said, and by whom. The page says so.

Each of the three looks in its own index (threads/migrations/0003 and 0034) and brings CANDIDATES threads and MESSAGES
at most: by titles and messages the newest, by references the first of the alphabet. Where there may be more, the page
says so, and how far back messages were looked through.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce
from operator import and_, or_
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet, Value
from django.utils import timezone

from chat_sessions.models import ChatSession
from threadhub.console import search_terms
from threadhub.console.filters import decoded
from threadhub.lib.any_of import AnyOf
from threadhub.lib.time_limit import TookTooLong, time_limit
from threadhub.workspaces.models import User, Workspace
from threads import saying
from threads.models import Message, Run, Thread

CANDIDATES = 1_000
MESSAGES = 1_000
TITLES = timedelta(milliseconds=150)  # pieces that every title has, together in none, would take seconds
# By the index on references, one workspace after the other until there are enough: no more are read than that.
REFERENCED = """
SELECT found.id
  FROM workspaces_workspace AS workspace, LATERAL (
        SELECT id FROM threads_thread
         WHERE workspace_id = workspace.id AND external_ref LIKE %(beginning)s
         ORDER BY external_ref, created_at DESC, id DESC LIMIT %(most)s) AS found
 WHERE %(among)s::uuid[] IS NULL OR workspace.id = ANY (%(among)s::uuid[])
 LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class Found:
    """Those of the threads that a term finds, and of those found by their messages the newest such message."""

    threads: QuerySet[Thread]
    messages: dict[UUID, UUID] = field(default_factory=dict)
    capped: bool = False  # there may be more, in older messages and threads
    since: datetime | None = None  # older messages were not looked through
    titles: bool = True  # were looked through
    beside_archived: bool = False  # there are archived threads, whose messages were not
    beside_closed: bool = False  # there are workspaces that want a reason, whose messages were not


def find(*, threads: QuerySet[Thread], workspaces: list[UUID] | None, term: str) -> Found:
    """Those of `threads` that the term finds. `workspaces`: where the reader may look; None: everywhere."""
    by_id = _by_id(term)
    if by_id is not None:
        return Found(threads.filter(by_id))
    where = _where(workspaces)
    closed, beside_archived = _apart(where, workspaces)
    said = _said(term, _beside(closed, workspaces))
    titled, referenced = _titled(where, term), _referenced(workspaces, term)
    in_threads: dict[UUID, UUID] = {}
    for thread_id, message_id in said.messages:
        in_threads.setdefault(thread_id, message_id)
    capped = len(said.messages) == MESSAGES or CANDIDATES in (len(titled or []), len(referenced))
    found = {*(titled or []), *referenced, *in_threads}
    return Found(
        threads.filter(AnyOf("pk", found)) if found else threads.none(),
        in_threads,
        capped,
        said.since,
        titles=titled is not None,
        beside_closed=bool(closed),
        beside_archived=beside_archived,
    )


def _apart(where: Q, workspaces: list[UUID] | None) -> tuple[set[UUID], bool]:
    """Where a reason is wanted, and whether there are archived threads: words of neither are looked for."""
    within = Q() if workspaces is None else Q(pk__in=workspaces)
    closed = Workspace.objects.filter(within, transcript_reason=True).order_by().annotate(wants_reason=Value(True))
    archived = Thread.objects.filter(where, state=Thread.State.ARCHIVED).order_by().annotate(wants_reason=Value(False))
    some = archived.values_list("workspace_id", "wants_reason")[:1]
    found = list(closed.values_list("pk", "wants_reason").union(some, all=True))
    return {pk for pk, wants_reason in found if wants_reason}, any(not wants_reason for _, wants_reason in found)


def _beside(closed: set[UUID], workspaces: list[UUID] | None) -> list[UUID] | None:
    """The workspaces but for the closed ones; None: all there are."""
    if workspaces is not None:
        return [pk for pk in workspaces if pk not in closed]
    if not closed:
        return None
    return list(Workspace.objects.filter(transcript_reason=False).order_by().values_list("pk", flat=True))


def _said(term: str, workspaces: list[UUID] | None) -> saying.Said:
    """The newest messages with its words in those workspaces."""
    if workspaces == []:
        return saying.Said()
    return saying.newest(text=term, among=workspaces, wanted=MESSAGES, now=timezone.now())


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


def _titled(where: Q, term: str) -> list[UUID] | None:
    """The newest threads whose titles have the term's words and phrases; None: it took too long."""
    terms = search_terms.read(term)
    wanted = [Q(title__icontains=each) for each in terms.wanted]
    rows = Thread.objects.filter(where, reduce(or_ if terms.any_of else and_, wanted))
    for each in terms.unwanted:
        rows = rows.exclude(title__icontains=each)
    try:
        with time_limit(TITLES):
            return list(rows.order_by("-pk").values_list("pk", flat=True)[:CANDIDATES])
    except TookTooLong:
        return None


def _referenced(workspaces: list[UUID] | None, term: str) -> list[UUID]:
    """Threads whose reference begins with the term, in the order of references."""
    beginning = connection.ops.prep_for_like_query(term.strip('"'))
    with connection.cursor() as cursor:
        cursor.execute(REFERENCED, {"beginning": f"{beginning}%", "among": workspaces, "most": CANDIDATES})
        return [pk for (pk,) in cursor.fetchall()]
