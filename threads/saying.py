"""The newest messages that say words, in a time that is bounded however common the words are.

The index of words is asked for span after span from the newest on (the function `threads_newest_saying`, migrations
0034, 0043 and 0051), until there are enough, or nothing older, or the time is over. Where it is, and few were found,
all that hold the words are asked for at once, whenever they were said: so a rare word of a long history is found. A
phrase is known to the index by words, and each message that has them is read: where these are too many, the newest few.
What was not looked through is told, as a time. The index begins with the workspace: a few of them are asked one by one,
so that what others say more often costs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import connection

from threadhub.isolation import walls
from threadhub.lib.time_limit import TookTooLong, time_limit
from threads.activity import first_id_at

SPANS = timedelta(milliseconds=80)  # in which spans are begun
LAST_SPAN = timedelta(milliseconds=300)  # for the one that was begun last
WHOLE = timedelta(milliseconds=60)  # for all that hold the words
KEYED = timedelta(milliseconds=100)  # for the newest few, each of which is looked at
WITHOUT_INDEX = timedelta(seconds=10)  # for the same where PostgreSQL reads every message (`doctor` says so)
APART = 4  # workspaces at most that are asked one by one
DENSE = 200  # messages, where a span has too many that must be read to know; and of a word that is not rare

# All are found before they are put in order: by the index of words, not by the key, read to its end. Each workspace is
# named by itself: of one that stands in another table, PostgreSQL would think that it has an average of messages.
ALL = "SELECT thread_id, id FROM ({found}) AS message ORDER BY id DESC LIMIT %(wanted)s"
FOUND = """
(SELECT thread_id, id FROM threads_message
  WHERE searchable AND to_tsvector('simple', left(content, 100000)) @@ websearch_to_tsquery('simple', %(text)s)
        {among} OFFSET 0)
"""
ONE = "AND workspace_id = (%(among)s::uuid[])[{}]"
FEW = """
SELECT thread_id, id, created_at FROM (
    SELECT * FROM threads_message WHERE searchable {among} ORDER BY id DESC OFFSET 0) AS message
 WHERE to_tsvector('simple', left(content, 100000)) @@ websearch_to_tsquery('simple', %(text)s)
 LIMIT %(few)s
"""
# Messages are younger than the oldest thread. It is asked for so that only the index of one workspace can tell it: by
# that of all, PostgreSQL would go through everybody's older threads, where a workspace has few or none.
NEWEST = """
SELECT said.thread_id, said.message_id, said.since
  FROM unnest(%(apart)s::uuid[]) WITH ORDINALITY AS own (workspace, number),
       LATERAL (SELECT CASE WHEN own.workspace IS NULL THEN %(among)s::uuid[]
                            ELSE ARRAY[own.workspace] END AS among) AS asked,
       LATERAL threads_newest_saying(
           websearch_to_tsquery('simple', %(text)s), asked.among, %(wanted)s,
           (SELECT coalesce(min(oldest.created_at), now())
              FROM workspaces_workspace AS workspace, LATERAL (
                   SELECT created_at FROM threads_thread
                    WHERE workspace_id BETWEEN workspace.id AND workspace.id
                    ORDER BY workspace_id DESC, created_at, id LIMIT 1) AS oldest
             WHERE asked.among IS NULL OR workspace.id = ANY (asked.among)),
           greatest(interval '0', (statement_timestamp() + %(spending)s - clock_timestamp())
                                  / (cardinality(%(apart)s::uuid[]) - own.number + 1))) AS said
"""


@dataclass(frozen=True, slots=True)
class Said:
    """Threads and messages, newest message first. `since`: older messages were not looked at, or not those of every
    workspace; None: all were, or there were so many that `wanted` of them came."""

    messages: list[tuple[UUID, UUID]] = field(default_factory=list)
    since: datetime | None = None


def newest(*, text: str, among: Sequence[UUID] | None, wanted: int, now: datetime) -> Said:
    """The newest messages that hold all words of `text` ("…" for a phrase, -word to leave out), in the workspaces
    `among`; None: wherever the scope sees."""
    values = {"text": text, "among": None if among is None else list(among), "wanted": wanted}
    said = _spans(values)
    if said is None and _has_index():
        return _by_key(values, now)
    rare = said is None or (said.since is not None and len(said.messages) < DENSE)
    found = _whole(values) if rare else None
    return Said(found) if found is not None else said or _by_key(values, now)


def _spans(values: dict[str, Any]) -> Said | None:
    """The newest that hold the words, as far as the time goes; None: one span alone has too many to look at."""
    apart = values["among"] if _apart(values) else [None]
    rows = _within(SPANS + LAST_SPAN, NEWEST, {**values, "apart": apart, "spending": SPANS})
    if rows is None:
        return None
    found = [(thread_id, message_id) for thread_id, message_id, _ in rows if message_id is not None]
    found.sort(key=itemgetter(1), reverse=True)
    since = max((since for *_, since in rows if since is not None), default=None)
    if len(found) > values["wanted"]:
        found = found[: values["wanted"]]
        if since is not None and first_id_at(since) <= found[-1][1]:  # what is older was cut off
            since = None
    return Said(found, since)


def _whole(values: dict[str, Any]) -> list[tuple[UUID, UUID]] | None:
    """The newest of all that hold the words; None: they are too many for the time."""
    return _within(WHOLE if _has_index() else WITHOUT_INDEX, _all(values), values)


def _all(values: dict[str, Any]) -> str:
    """The statement for all that hold the words."""
    if not _apart(values) or not _has_index():
        return ALL.format(found=FOUND.format(among=_among(values)))
    own = [ONE.format(number) for number in range(1, len(values["among"]) + 1)]
    return ALL.format(found=" UNION ALL ".join(FOUND.format(among=among) for among in own))


def _apart(values: dict[str, Any]) -> bool:
    """Whether the workspaces are several, and few enough to be asked one by one."""
    return values["among"] is not None and 1 < len(values["among"]) <= APART


@cache
def _has_index() -> bool:
    """Whether the index of words may be asked behind the wall."""
    with connection.cursor() as cursor:
        return not walls.unmarked(cursor)


def _by_key(values: dict[str, Any], now: datetime) -> Said:
    """The newest few: each message is looked at, for a phrase of words that nearly all have."""
    rows = _within(KEYED, FEW.format(among=_among(values)), {**values, "few": min(DENSE, values["wanted"])}) or []
    found = [(thread_id, message_id) for thread_id, message_id, _ in rows]
    return Said(found, min((created_at for *_, created_at in rows), default=now))


def _among(values: dict[str, Any]) -> str:
    """A condition on the workspace: of one the index knows, of several each message is asked for its own."""
    if values["among"] is None:
        return ""
    return ONE.format(1) if len(values["among"]) == 1 else "AND workspace_id = ANY(%(among)s::uuid[])"


def _within(time: timedelta, statement: str, values: dict[str, Any]) -> list[Any] | None:
    """The rows of a statement; None when it took longer."""
    try:
        with time_limit(time), connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())
    except TookTooLong:
        return None
