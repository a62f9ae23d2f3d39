"""Threads as rows, for the requests that are asked most: one prepared statement gives a page, how many threads the
whole list has, and what policies and holds are in force. What it cannot say it leaves to the queryset
(querysets/threads.py), which says the same of whatever it can; a test compares the two.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection

from threadhub.agents import access as agents
from threadhub.lib import ids
from threadhub.lib.remembered import Remembered
from threadhub.workspaces.actor import Actor
from threadhub.workspaces.permissions import Permission
from threads.lifecycle.in_force import InForce, Question
from threads.models import Thread

LENGTHS = 4096  # of lists
SHALLOW = 200  # rows: to skip so many costs nothing, whichever way


class ThreadRow(NamedTuple):
    """The columns of a thread that are shown or decide on its life."""

    id: UUID
    workspace_id: UUID
    agent_id: UUID
    user_id: UUID | None
    chat_session_id: UUID | None
    external_ref: str | None
    title: str | None
    metadata_text: str
    state: str
    origin: str
    branch: int
    message_count: int
    created_at: datetime
    updated_at: datetime
    last_activity_at: datetime | None
    pinned: bool
    exempt_until: datetime | None
    archived_at: datetime | None
    trashed_at: datetime | None
    purge_after: datetime | None
    taken_over_at: datetime | None

    @property
    def pk(self) -> UUID:
        return self.id

    @property
    def wire_id(self) -> str:
        return ids.encode(Thread.PREFIX, self.id)

    @property
    def metadata(self) -> Any:
        """Integers beyond 64 bits are floats that PostgreSQL wrote out, and become floats again."""
        return {} if self.metadata_text == "{}" else orjson.loads(self.metadata_text)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The threads that an actor may see, narrowed. `metadata` is JSON as text; `state` is active or archived."""

    actor: Actor
    agent_id: UUID | None = None
    user_id: UUID | None = None
    external_ref: str | None = None
    metadata: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """Of a page: the same while its threads, how many the whole list has and what is in force all are. `threads` are
    their ids, places in the table and the transactions that wrote them: every change of a row is another row there."""

    threads: str
    count: int
    mark: object | None  # of what is in force
    names: tuple[str, ...] = field(compare=False)  # of the conditions, and their values
    values: dict[str, Any] = field(compare=False)
    ascending: bool = field(compare=False)
    skip: int = field(compare=False)
    rows: int = field(compare=False)

    def is_newest(self, now: datetime) -> bool:
        """Whether a page that was read now would have it: one statement, which brings no rows."""
        asked = Question(self.values["workspace"], now)
        with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]
            form = DEEP_VERSION if self.skip > SHALLOW else VERSION
            sql = _sql(form, self.names, self.ascending, self.rows, self.skip > 0, asked.sql)
            cursor.execute(sql, {**self.values, **asked.values, "skip": self.skip})
            count, changed, threads = cursor.fetchone()
        return changed is None and (count, threads) == (self.count, self.threads) and asked.known_mark is self.mark


@dataclass(frozen=True, slots=True)
class Page:
    """`rows` in the order asked for, and how many the whole list has. `version`: of a page that others are likely to
    ask for."""

    rows: list[ThreadRow]
    count: int
    in_force: InForce | None
    is_asked_again: bool = True  # whether its threads are likely to be asked for
    version: Version | None = None


COLUMNS = ", ".join(
    "thread.metadata::text" if name == "metadata_text" else f"thread.{name}" for name in ThreadRow._fields
)
WIDTH = len(ThreadRow._fields)
CREATED = attrgetter("created_at", "id")
# Agents that the actor may not have; by the index of limited agents, most often none (agents.access.closed_to).
CLOSED = """ARRAY(
    SELECT closed.id FROM agents_agent AS closed
     WHERE closed.workspace_id = %(workspace)s AND closed.limited
       AND NOT (closed.allowed_keys @> %(keys)s::uuid[] AND cardinality(%(keys)s::uuid[]) > 0
                OR closed.allowed_users @> %(members)s::uuid[] AND cardinality(%(members)s::uuid[]) > 0
                OR closed.allowed_roles @> %(roles)s::varchar[] AND cardinality(%(roles)s::varchar[]) > 0))"""
CONDITIONS = {
    "workspace": "thread.workspace_id = %(workspace)s",
    "live": "thread.state IN ('active', 'archived')",
    "active": "thread.state = 'active'",
    "archived": "thread.state = 'archived'",
    "agent": "thread.agent_id = %(agent)s",
    "open": f"thread.agent_id <> ALL ({CLOSED})",
    "user": "thread.user_id = %(user)s",
    "external_ref": "thread.external_ref = %(external_ref)s",
    # As the index `thread_metadata` has it: under the id of its workspace.
    "metadata": "jsonb_set('{}'::jsonb, ARRAY[thread.workspace_id::text], thread.metadata)"
    " @> jsonb_build_object(%(workspace)s::uuid::text, %(metadata)s::jsonb)",
    "one": "thread.id = %(thread)s",
}
STATES = {"live": "('active', 'archived')", "active": "('active')", "archived": "('archived')"}
COUNTED = frozenset({"workspace", "live", "active", "archived", "agent", "open"})
# Sums of counters (counts.py), by their primary key. What is closed to the actor is taken off again.
SUM = """(SELECT coalesce(sum(number), 0)::bigint FROM threads_threadcount
          WHERE workspace_id = %(workspace)s AND subject = {subject} AND state IN {states})"""
# By the index that serves the conditions: the same that a page of it is read from.
NUMBER = "(SELECT count(*) FROM threads_thread AS thread WHERE {where})"
# What stands once beside the page stands in one of its rows.
PAGE = """
SELECT {columns}, CASE WHEN row_number() OVER () = 1 THEN {count} END,
       CASE WHEN row_number() OVER () = 1 THEN {in_force} END, string_agg(thread.place, '') OVER ()
  FROM (SELECT *, id::text || ctid::text || xmin::text AS place FROM threads_thread AS thread WHERE {where}
         ORDER BY thread.created_at {direction}, thread.id {direction} LIMIT {rows}{offset}) AS thread
"""
VERSION = """
SELECT {count}, {in_force}, string_agg(thread.place, '')
  FROM (SELECT id::text || ctid::text || xmin::text AS place FROM threads_thread AS thread WHERE {where}
         ORDER BY thread.created_at {direction}, thread.id {direction} LIMIT {rows}{offset}) AS thread
"""
# Deep in a list the rows before it are passed over in the index, and only those of the page are read.
DEEP_PAGE = """
SELECT {columns}, CASE WHEN row_number() OVER () = 1 THEN {count} END,
       CASE WHEN row_number() OVER () = 1 THEN {in_force} END,
       string_agg(thread.id::text || thread.ctid::text || thread.xmin::text, '') OVER ()
  FROM (SELECT thread.id, thread.created_at FROM threads_thread AS thread WHERE {where}
         ORDER BY thread.created_at {direction}, thread.id {direction} LIMIT {rows}{offset}) AS page
  JOIN threads_thread AS thread ON thread.id = page.id AND thread.workspace_id = %(workspace)s
"""
DEEP_VERSION = """
SELECT {count}, {in_force}, string_agg(thread.id::text || thread.ctid::text || thread.xmin::text, '')
  FROM (SELECT thread.id FROM threads_thread AS thread WHERE {where}
         ORDER BY thread.created_at {direction}, thread.id {direction} LIMIT {rows}{offset}) AS page
  JOIN threads_thread AS thread ON thread.id = page.id AND thread.workspace_id = %(workspace)s
"""
# Whatever the metadata holds is found once, by the index on it, and counted on the way.
PAGE_OF_FOUND = """
WITH found AS MATERIALIZED (SELECT thread.id, thread.created_at FROM threads_thread AS thread WHERE {where})
SELECT {columns}, CASE WHEN row_number() OVER () = 1 THEN (SELECT count(*) FROM found) END,
       CASE WHEN row_number() OVER () = 1 THEN {in_force} END, NULL
  FROM (SELECT * FROM found ORDER BY created_at {direction}, id {direction} LIMIT {rows}{offset}) AS page
  JOIN threads_thread AS thread ON thread.id = page.id AND thread.workspace_id = %(workspace)s
"""


def page(wanted: Wanted, *, now: datetime, ascending: bool, skip: int, rows: int) -> Page | None:
    """Up to `rows` threads in the order of (created_at, id). None: ask the queryset."""
    told = conditions(wanted)
    if told is None or rows < 1:
        return None
    names, values = told
    asked = Question(wanted.actor.workspace_id, now)
    values |= asked.values
    if skip <= SHALLOW or not COUNTED.issuperset(names):
        return _read(names, values, asked, ascending=ascending, skip=skip, rows=rows)
    length = _Length(names, values)
    count = length.of_late()
    if skip >= count or skip <= count // 2:
        found = _read(names, values, asked, ascending=ascending, skip=skip, rows=rows)
        length.note(found)
        return found
    # Nearer to the other end, from which it is read backwards; unless threads came or went meanwhile.
    here = min(rows, count - skip)
    found = _read(names, values, asked, ascending=not ascending, skip=count - skip - here, rows=here)
    length.note(found)
    if found is None or found.count != count:
        return _read(names, values, asked, ascending=ascending, skip=skip, rows=rows)
    return replace(found, rows=found.rows[::-1])


class _Length:
    """How long a list is or was a moment ago: from which end it is read."""

    def __init__(self, names: tuple[str, ...], values: dict[str, Any]) -> None:
        self.names, self.values = names, values
        self.list = None if "open" in names else (names, values["workspace"], values.get("agent"))

    def of_late(self) -> int:
        known = _lengths.get(self.list) if self.list is not None else None
        if known is not None:
            return known
        with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute(f"SELECT {_number(self.names)}", self.values)
            return int(cursor.fetchone()[0])

    def note(self, found: Page | None) -> None:
        """What the page says of it."""
        if self.list is not None and found is not None:
            _lengths.put(self.list, found.count)


_lengths: Remembered[tuple[tuple[str, ...], UUID, UUID | None], int] = Remembered(LENGTHS)


def _read(
    names: tuple[str, ...], values: dict[str, Any], asked: Question, *, ascending: bool, skip: int, rows: int
) -> Page | None:
    """None where there are no rows, and so nothing beside them."""
    form = PAGE_OF_FOUND if "metadata" in names else DEEP_PAGE if skip > SHALLOW else PAGE
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
        cursor.execute(_sql(form, names, ascending, rows, skip > 0, asked.sql), {**values, "skip": skip})
        found = cursor.fetchall()
    beside = next((row for row in found if row[WIDTH] is not None), None)
    if beside is None:
        return None
    shown = [ThreadRow._make(row[:WIDTH]) for row in found]
    shown.sort(key=CREATED, reverse=not ascending)
    count, in_force = beside[WIDTH], asked.answer(beside[WIDTH + 1])
    if form is PAGE_OF_FOUND:
        return Page(shown, count, in_force, is_asked_again=False)
    mark = in_force.mark if in_force is not None else None
    version = Version(beside[WIDTH + 2], count, mark, names, values, ascending, skip, rows)
    return Page(shown, count, in_force, version=version)


def conditions(wanted: Wanted) -> tuple[tuple[str, ...], dict[str, Any]] | None:
    """The names of the conditions, and their values. None where they cannot be said here."""
    actor = wanted.actor
    values: dict[str, Any] = {"workspace": actor.workspace_id}
    names = ["workspace", wanted.state or "live"]
    for name, value in _narrowed(wanted):
        if name in values and values[name] != value:
            return None  # of two agents at once: of none
        values[name] = value
    if actor.kind == "session" and (actor.agent_id is None or actor.external_ref is None):
        return None
    if _sees_none(actor):
        return None
    names += [name for name in CONDITIONS if name in values and name != "workspace"]
    if not agents.has_every(actor=actor):
        names.append("open")
        values["keys"] = [actor.key_id] if actor.key_id else []
        values["members"] = [actor.member_id] if actor.member_id else []
        values["roles"] = [actor.role.value] if actor.role else []
    return tuple(names), values


def _sees_none(actor: Actor) -> bool:
    if actor.kind == "session" or actor.may(Permission.THREAD_READ_ALL):
        return False
    return actor.user_id is None or not actor.may(Permission.THREAD_READ)


def _narrowed(wanted: Wanted) -> Iterator[tuple[str, Any]]:
    """By what the actor may see, and then by what is asked."""
    actor = wanted.actor
    if actor.agent_id is not None:
        yield "agent", actor.agent_id
    if actor.kind == "session":
        if actor.external_ref is not None:
            yield "external_ref", actor.external_ref
    elif not actor.may(Permission.THREAD_READ_ALL) and actor.user_id is not None:
        yield "user", actor.user_id
    for name in ("agent", "user"):
        value = getattr(wanted, f"{name}_id")
        if value is not None:
            yield name, value
    for name in ("external_ref", "metadata"):
        value = getattr(wanted, name)
        if value is not None:
            yield name, value


@lru_cache(maxsize=512)
def _sql(form: str, names: tuple[str, ...], ascending: bool, rows: int, skips: bool, in_force: str) -> str:
    """`rows` is in the text, so that a plan that is kept knows how few are wanted."""
    if "metadata" in names:
        # Which says of what workspace they are. Said once more it would bring in, in a plan for whatever workspace,
        # any other index that knows all threads of one.
        names = tuple(name for name in names if name != "workspace")
    return form.format(
        columns=COLUMNS,
        count=_number(names),
        in_force=in_force,
        where=where(names),
        direction="ASC" if ascending else "DESC",
        rows=rows,
        offset=" OFFSET %(skip)s" if skips else "",
    )


def _number(names: tuple[str, ...]) -> str:
    if not COUNTED.issuperset(names):
        return NUMBER.format(where=where(names))
    states = next(STATES[name] for name in names if name in STATES)
    if "agent" in names:
        own = SUM.format(subject="%(agent)s", states=states)
        return f"CASE WHEN %(agent)s = ANY ({CLOSED}) THEN 0 ELSE {own} END" if "open" in names else own
    whole = SUM.format(subject="%(workspace)s", states=states)
    return f"{whole} - {SUM.format(subject=f'ANY ({CLOSED})', states=states)}" if "open" in names else whole


def where(names: tuple[str, ...]) -> str:
    return " AND ".join(CONDITIONS[name] for name in names)
