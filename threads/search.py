"""Full-text search over messages: PostgreSQL's own, in the transaction of the message, so nothing deleted is found.

Of messages that are searchable: what comes back in bulk is made so by the worker (`search_backlog.py`). The newest that
match come by the index of words (`saying.py`), in a time that is bounded however common the words are; of a reader's
few threads every message is looked at instead, so that what others say more often hides nothing of theirs.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from threadhub.workspaces.actor import Actor
from threads import access, saying
from threads.models import Message
from threads.querysets.threads import ThreadQuerySet
from threads.saying import Said

CANDIDATES = 1_000  # hits of a whole list
NEWEST, NEWEST_OF_ALL = 2_000, 5_000  # that match in the workspace: where all are seen, and where a part is
FEW_THREADS, FEW_MESSAGES = 200, 2_000
START, STOP = "<mark>", "</mark>"
HEADLINE = f'StartSel={START}, StopSel={STOP}, MaxWords=24, MinWords=8, MaxFragments=2, FragmentDelimiter=" … "'


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that matches. `snippet` is HTML: the text escaped, hits in `<mark>`."""

    thread_id: UUID
    agent_id: UUID
    thread_title: str | None
    message_id: UUID
    position: int
    role: str
    created_at: datetime
    snippet: str


@dataclass(frozen=True, slots=True)
class Hits:
    """Newest first. `since`: older messages were not looked through; None: all were."""

    hits: list[Hit]
    since: datetime | None = None


# By their threads' key, of which only those that match are put in order.
SAYING = """
SELECT thread_id, id FROM (
    SELECT thread_id, id FROM threads_message
     WHERE workspace_id = %(workspace)s AND thread_id = ANY(%(threads)s) AND searchable
       AND to_tsvector('simple', left(content, 100000)) @@ websearch_to_tsquery('simple', %(text)s) OFFSET 0) AS message
 ORDER BY id DESC LIMIT %(candidates)s
"""
# The text is escaped before ts_headline puts its marks in, so that a message can never be markup.
PAGE = """
WITH query AS (SELECT websearch_to_tsquery('simple', %(text)s) AS words),
found AS MATERIALIZED (SELECT * FROM unnest(%(found_in)s::uuid[], %(found)s::uuid[]) AS found (thread_id, id)),
seen AS MATERIALIZED (
    SELECT thread.id, thread.path
      FROM (SELECT DISTINCT thread_id FROM found) AS each,
           LATERAL (SELECT id FROM ({visible}) AS visible (id) WHERE id = each.thread_id LIMIT 1) AS allowed,
           LATERAL (SELECT id, path FROM threads_thread
                     WHERE id = allowed.id AND workspace_id = %(workspace)s LIMIT 1) AS thread
), candidates AS MATERIALIZED (
    SELECT found.id, seen.path FROM found JOIN seen ON seen.id = found.thread_id
     ORDER BY found.id DESC LIMIT %(candidates)s
), shown AS (
    SELECT id FROM candidates
     WHERE path IS NULL OR path @> (SELECT position FROM threads_message AS message
                                     WHERE message.id = candidates.id AND workspace_id = %(workspace)s)
), page AS (
    SELECT message.* FROM (SELECT id FROM shown ORDER BY id DESC OFFSET %(skip)s LIMIT %(take)s) AS chosen
      JOIN threads_message AS message ON message.id = chosen.id AND message.workspace_id = %(workspace)s
)
SELECT thread.id, thread.agent_id, thread.title, page.id, page.position, page.role, page.created_at,
       ts_headline('simple',
           replace(replace(replace(left(page.content, 100000), '&', '&amp;'), '<', '&lt;'), '>', '&gt;'),
           query.words, %(headline)s)
  FROM page JOIN threads_thread AS thread ON thread.id = page.thread_id AND thread.workspace_id = %(workspace)s, query
 ORDER BY page.id DESC
"""


def search(
    *,
    actor: Actor,
    text: str,
    skip: int = 0,
    take: int = 20,
    agent_id: UUID | None = None,
    user_id: UUID | None = None,
    now: datetime,
) -> Hits:
    """The newest messages of visible threads that hold all words of `text` ("…" for a phrase, -word to leave out).

    Of a thread with branches what the active one shows: elsewhere a hit would lead to nothing.
    """
    threads = access.visible(actor=actor).order_by()
    if agent_id is not None:
        threads = threads.with_agent(agent_id)
    if user_id is not None:
        threads = threads.of_user(user_id)
    said = _found(actor, threads, text, now)
    visible, visible_parameters = threads.values("pk").query.sql_with_params()
    names = {f"visible_{number}": value for number, value in enumerate(visible_parameters)}
    placeholders = tuple(f"%({name})s" for name in names)
    parameters: dict[str, Any] = {
        "text": text,
        "workspace": actor.workspace_id,
        "found_in": [thread_id for thread_id, _ in said.messages],
        "found": [message_id for _, message_id in said.messages],
        "candidates": CANDIDATES,
        "skip": skip,
        "take": take,
        "headline": HEADLINE,
        **names,
    }
    with connection.cursor() as cursor:
        cursor.execute(PAGE.format(visible=visible % placeholders), parameters)
        return Hits([Hit(*row) for row in cursor.fetchall()], said.since)


def _found(actor: Actor, threads: ThreadQuerySet, text: str, now: datetime) -> Said:
    """Messages that match, and their threads; of some of them nobody has asked yet who may see them."""
    counted = threads.still_counted()
    everything = counted is not None and counted.agent_id is None
    if not everything:
        few = list(threads.values_list("pk", "message_count")[: FEW_THREADS + 1])
        if len(few) <= FEW_THREADS and sum(messages for _, messages in few) <= FEW_MESSAGES:
            return _said_in([thread_id for thread_id, _ in few], actor, text)
    wanted = NEWEST if everything else NEWEST_OF_ALL
    said = saying.newest(text=text, among=[actor.workspace_id], wanted=wanted, now=now)
    if everything or said.since or len(said.messages) < wanted:
        return said
    _, last = said.messages[-1]
    return replace(said, since=Message.objects.values_list("created_at", flat=True).get(pk=last))


def _said_in(threads: list[UUID], actor: Actor, text: str) -> Said:
    values: dict[str, Any] = {
        "workspace": actor.workspace_id,
        "threads": threads,
        "text": text,
        "candidates": CANDIDATES,
    }
    with connection.cursor() as cursor:
        cursor.execute(SAYING, values)
        return Said(list(cursor.fetchall()))
