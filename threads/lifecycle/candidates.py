"""Which threads may have something to happen to them: found in the database, page by page, by their making.

The condition is a superset of what the resolver will say yes to: some rule's days are over. Whatever counts the days,
a thread is never younger than its creation; so the index thread_newest_first (workspace, created_at, id), read from its
old end, holds all of them and nothing newer is looked at.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from psycopg.types.json import Jsonb

from threads import sql
from threads.lifecycle import resolver
from threads.lifecycle.erasure import ledger
from threads.lifecycle.resolver import Facts, Rule

STARTS = {
    "created": "thread.created_at",
    "last_activity": "COALESCE(thread.last_activity_at, thread.created_at)",
    "archived": "thread.archived_at",
    "trashed": "thread.trashed_at",
}
Key = tuple[datetime, UUID]
IN_BUNDLE = """thread.id IN (SELECT bundled.thread_id FROM threads_bundledthread AS bundled
               WHERE bundled.workspace_id = thread.workspace_id AND bundled.bundle_id = %s)"""

PAGE = """
SELECT thread.id, thread.created_at
  FROM threads_thread AS thread
 WHERE thread.workspace_id = %(workspace)s
   AND thread.state IN ('active', 'archived', 'trashed')
   AND (%(after_at)s::timestamptz IS NULL
        OR (thread.created_at, thread.id) > (%(after_at)s::timestamptz, %(after_id)s::uuid))
   AND {condition}
 ORDER BY thread.created_at, thread.id
 LIMIT %(limit)s {lock}
"""
FACTS = """
SELECT thread.id, thread.agent_id, thread.state, thread.created_at, thread.last_activity_at, thread.archived_at,
       thread.trashed_at, thread.purge_after, thread.external_ref, thread.metadata::text, thread.origin, thread.pinned,
       thread.exempt_until,
       EXISTS (SELECT FROM threads_run AS run
                WHERE run.thread_id = thread.id AND run.workspace_id = thread.workspace_id
                  AND run.status IN ('queued', 'running')),
       EXISTS (SELECT FROM agents_agent AS agent
                WHERE agent.id = thread.agent_id AND agent.workspace_id = thread.workspace_id),
       threads_covered_by_hold(thread.workspace_id, thread.id, thread.agent_id, thread.user_id, thread.external_ref),
       thread.bundle_id, thread.message_count, thread.last_position
  FROM threads_thread AS thread
 WHERE thread.workspace_id = %(workspace)s AND thread.id = ANY(%(ids)s::uuid[])
 ORDER BY thread.created_at, thread.id
"""
FACTS_COLUMNS = (
    "id", "agent_id", "state", "created_at", "last_activity_at", "archived_at", "trashed_at", "purge_after",
    "external_ref", "metadata", "origin", "pinned", "exempt_until", "running", "agent_known",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A thread as it is now, and what a sweep needs beside what the resolver reads."""

    facts: Facts
    held: bool
    bundle_id: UUID | None
    message_count: int
    last_position: int

    @property
    def key(self) -> Key:
        assert self.facts.created_at is not None  # noqa: S101  the column is not null
        return self.facts.created_at, self.facts.id


@dataclass(frozen=True, slots=True)
class Selection:
    """Which threads of a workspace a command is about; None: whichever."""

    workspace_id: UUID
    agent_id: UUID | None = None
    user_id: UUID | None = None
    external_ref: str | None = None
    older_than: timedelta | None = None  # since their making
    inactive_for: timedelta | None = None
    thread_id: UUID | None = None
    bundle_id: UUID | None = None  # where they stand now

    def conditions(self, now: datetime) -> list[tuple[str, list[Any]]]:
        """SQL and parameters of each part."""
        parts: list[tuple[str, Any]] = [
            ("thread.id = %s", self.thread_id),
            ("thread.agent_id = %s", self.agent_id),
            (IN_BUNDLE, self.bundle_id),
            ("thread.user_id = %s", self.user_id),
            ("thread.external_ref = %s", self.external_ref),
            ("thread.created_at <= %s", now - self.older_than if self.older_than else None),
            (f"{STARTS['last_activity']} <= %s", now - self.inactive_for if self.inactive_for else None),
        ]
        return [(condition, [value]) for condition, value in parts if value is not None]

    def with_thread(self, thread_id: UUID) -> "Selection":
        return replace(self, thread_id=thread_id)


def database_now() -> datetime:
    """The database's clock: retention decides by no other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def due(*, selection: Selection, rules: Sequence[Rule], now: datetime) -> "Query":
    """Threads of whom a rule says that their days are over, and what is in the trash beyond its time."""
    parts: list[tuple[str, list[Any]]] = [("(thread.state = 'trashed' AND thread.purge_after <= %s)", [now])]
    parts += [_due_by(rule, now) for rule in rules if rule.action != "retain" and resolver.readable(rule)]
    either = " OR ".join(condition for condition, _ in parts)
    values = [value for _, each in parts for value in each]
    return Query(selection, [(f"({either})", values), *selection.conditions(now)])


def in_states(*, selection: Selection, states: Sequence[str], now: datetime) -> "Query":
    """Every thread of the selection that is in one of the states."""
    return Query(selection, [("thread.state = ANY(%s)", [list(states)]), *selection.conditions(now)])


class Query:
    """Pages of candidates under one condition."""

    def __init__(self, selection: Selection, conditions: Sequence[tuple[str, list[Any]]]) -> None:
        self.workspace_id = selection.workspace_id
        self.condition = " AND ".join(condition for condition, _ in conditions)
        self.values = [value for _, each in conditions for value in each]

    def pages(self, size: int) -> Iterator[list[Candidate]]:
        """All candidates as they are, none of them locked."""
        after: Key | None = None
        while keys := self.keys(after=after, limit=size):
            yield load(workspace_id=self.workspace_id, thread_ids=[key[1] for key in keys])
            after = keys[-1]

    def keys(self, *, after: Key | None, limit: int, lock: bool = False) -> list[Key]:
        """The next candidates after a key. `lock`: their rows are ours until the transaction ends, those that somebody
        else has in hand are left out. What they are must then be read anew, with `load`: it may have changed."""
        parameters: dict[str, Any] = {
            "workspace": self.workspace_id,
            "after_at": after[0] if after else None,
            "after_id": after[1] if after else None,
            "limit": limit,
        }
        names = {f"value_{number}": value for number, value in enumerate(self.values)}
        condition = self.condition % tuple(f"%({name})s" for name in names)
        statement = PAGE.format(condition=condition, lock="FOR UPDATE OF thread SKIP LOCKED" if lock else "")
        with connection.cursor() as cursor:
            cursor.execute(statement, {**parameters, **names})
            return [(created_at, id) for id, created_at in cursor.fetchall()]


def load(*, workspace_id: UUID, thread_ids: Sequence[UUID]) -> list[Candidate]:
    """These threads as they are now, oldest first."""
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
        cursor.execute(FACTS, {"workspace": workspace_id, "ids": sql.array(thread_ids)})
        rows = cursor.fetchall()
    to_be_erased = ledger.asked_for(workspace_id=workspace_id, thread_ids=thread_ids)
    found = []
    for row in rows:
        values = dict(zip(FACTS_COLUMNS, row, strict=False))
        values["erasure_requested"] = values["id"] in to_be_erased
        values["metadata"] = json.loads(values["metadata"])  # not as strictly as a client's: 1e300 comes as an integer
        found.append(Candidate(Facts(**values), *row[len(FACTS_COLUMNS) :]))
    return found


def _due_by(rule: Rule, now: datetime) -> tuple[str, list[Any]]:
    states = list(resolver.APPLIES_TO[rule.action])
    try:
        cutoff = now - timedelta(days=rule.days)
    except OverflowError:
        return "false", []
    parts: list[str] = ["thread.state = ANY(%s)", "thread.created_at <= %s", f"{STARTS[rule.counted_from]} <= %s"]
    values: list[Any] = [states, cutoff, cutoff]
    if rule.level in ("agent", "thread"):
        parts.append("thread.agent_id = %s" if rule.level == "agent" else "thread.id = %s")
        values.append(rule.target_id)
    if rule.origin is not None:
        parts.append("thread.origin = %s")
        values.append(rule.origin)
    if rule.external_ref_prefix is not None:
        parts.append("starts_with(COALESCE(thread.external_ref, ''), %s)")
        values.append(rule.external_ref_prefix)
    if rule.metadata is not None:
        parts.append("thread.metadata @> %s")
        values.append(Jsonb(dict(rule.metadata)))
    return f"({' AND '.join(parts)})", values
