"""Full-text search over messages: PostgreSQL's own, in the transaction of the message, so nothing deleted is found.

The index (migrations 0003 and 0029) holds the workspace beside the words, of messages that are searchable: what comes
back in bulk is made so by the worker (`search_backlog.py`). What is ranked is bounded: the newest CANDIDATES
messages that match, so that a common word costs as much as a rare one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from threadhub.workspaces.actor import Actor
from threads import access

CANDIDATES = 1_000
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


# The GIN index message_text (workspace_id, to_tsvector('simple', left(content, 100000))) WHERE searchable. Ids sort by
# the time of their making, so the newest of many matches come by the primary key. The text is escaped before
# ts_headline puts its marks in, so that a message can never be markup.
SEARCH = """
WITH query AS (SELECT websearch_to_tsquery('simple', %(text)s) AS words),
found AS (
    SELECT message.thread_id, message.id, message.position, message.role, message.content, message.created_at
      FROM threads_message AS message, query
     WHERE message.workspace_id = %(workspace)s AND message.searchable
       AND to_tsvector('simple', left(message.content, 100000)) @@ query.words
       AND message.thread_id IN ({visible})
     ORDER BY message.id DESC
     LIMIT %(candidates)s
), page AS (
    SELECT found.*
      FROM found JOIN threads_thread AS thread ON thread.id = found.thread_id
     WHERE thread.path IS NULL OR thread.path @> found.position
     ORDER BY found.id DESC
    OFFSET %(skip)s LIMIT %(take)s
)
SELECT thread.id, thread.agent_id, thread.title, page.id, page.position, page.role, page.created_at,
       ts_headline('simple',
           replace(replace(replace(left(page.content, 100000), '&', '&amp;'), '<', '&lt;'), '>', '&gt;'),
           query.words, %(headline)s)
  FROM page JOIN threads_thread AS thread ON thread.id = page.thread_id, query
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
) -> list[Hit]:
    """The newest messages of visible threads that hold all words of `text` ("…" for a phrase, -word to leave out).

    Of a thread with branches what the active one shows: elsewhere a hit would lead to nothing.
    """
    threads = access.visible(actor=actor).order_by()
    if agent_id is not None:
        threads = threads.with_agent(agent_id)
    if user_id is not None:
        threads = threads.of_user(user_id)
    visible, visible_parameters = threads.values("pk").query.sql_with_params()
    names = {f"visible_{number}": value for number, value in enumerate(visible_parameters)}
    placeholders = tuple(f"%({name})s" for name in names)
    parameters: dict[str, Any] = {
        "text": text,
        "workspace": actor.workspace_id,
        "candidates": CANDIDATES,
        "skip": skip,
        "take": take,
        "headline": HEADLINE,
        **names,
    }
    with connection.cursor() as cursor:
        cursor.execute(SEARCH.format(visible=visible % placeholders), parameters)
        return [Hit(*row) for row in cursor.fetchall()]
