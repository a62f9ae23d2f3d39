"""Which policies, holds and settings a workspace's threads live by. Several workspaces' are read in one query; a single
one's come as a value of a statement that reads something else, and a process that knows them already is told no more
than that they are still the same (LifecycleVersion).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from threadhub.lib.remembered import Remembered
from threads.lifecycle import holds
from threads.lifecycle.resolver import Rule

# Four small lookups by workspace; most workspaces have a handful of rows in all of them together.
OF_SEVERAL = """
SELECT workspace_id, scope, to_jsonb(policy)::text FROM threads_retentionpolicy AS policy
 WHERE workspace_id = ANY (%(workspaces)s) AND (enabled OR (action = 'retain' AND acts_from > %(now)s))
UNION ALL
SELECT NULL, 'system', to_jsonb(policy)::text FROM threads_systempolicy AS policy
 WHERE enabled OR (action = 'retain' AND acts_from > %(now)s)
UNION ALL
SELECT workspace_id, 'hold', to_jsonb(hold)::text FROM threads_hold AS hold
 WHERE workspace_id = ANY (%(workspaces)s) AND released_at IS NULL
UNION ALL
SELECT workspace_id, 'settings', to_jsonb(settings)::text FROM threads_retentionsettings AS settings
 WHERE workspace_id = ANY (%(workspaces)s)
"""
# The same of one workspace in one value: the version and, after a space, `[[kind, row], …]` or nothing where nothing is
# in force. NULL where the version is the one that is known. The installation's policies, a handful, are a version of
# themselves.
VERSION = """
      FROM (SELECT coalesce((SELECT own.version::text FROM threads_lifecycleversion AS own
                              WHERE own.workspace_id = %(workspace)s), '-')
                   || coalesce((SELECT md5(string_agg(policy::text, ' ')) FROM threads_systempolicy AS policy), '')
            OFFSET 0) AS version (now)
     WHERE version.now IS DISTINCT FROM %(known_version)s::text)"""
RULES = """
        SELECT json_agg(json_build_array(rule.kind, rule.row))::text FROM (
            SELECT scope AS kind, to_jsonb(policy) AS row FROM threads_retentionpolicy AS policy
             WHERE workspace_id = %(workspace)s AND (enabled OR (action = 'retain' AND acts_from > %(now)s))
            UNION ALL
            SELECT 'system', to_jsonb(policy) FROM threads_systempolicy AS policy
             WHERE enabled OR (action = 'retain' AND acts_from > %(now)s)
            UNION ALL
            SELECT 'hold', jsonb_build_object('scope', scope, 'target_id', target_id, 'external_ref', external_ref)
              FROM threads_hold AS hold WHERE workspace_id = %(workspace)s AND released_at IS NULL
            UNION ALL
            SELECT 'settings', to_jsonb(settings) FROM threads_retentionsettings AS settings
             WHERE workspace_id = %(workspace)s) AS rule"""
OF_ONE = f"(SELECT version.now || ' ' || coalesce(({RULES}), '') {VERSION}"
# The version alone, of what is known: to have PostgreSQL plan the rest would take longer than to ask it again.
OF_KNOWN = f"(SELECT version.now {VERSION}"

REMEMBERED = 16 * 2**20  # characters that were read of all workspaces; ten thousand holds are a million
ENTRY = 1024  # what a workspace takes besides, roughly

Row = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class InForce:
    """A workspace's policies and holds, the installation's too, as they are asked about many threads."""

    rules: tuple[Rule, ...]
    trash_on: bool
    cover: holds.Cover
    by_metadata: bool  # whether any rule asks for some of a thread's
    mark: object = field(default_factory=object, compare=False, repr=False)  # of this reading: another one is another

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "InForce":
        """`rows`: kind, and the row as JSON has it."""
        rules: list[Rule] = []
        trash_on = False
        holding: list[tuple[str, UUID | None, str | None]] = []
        for kind, row in rows:
            if kind == "hold":
                holding.append((row["scope"], _uuid(row["target_id"]), row["external_ref"]))
            elif kind == "settings":
                trash_on = row["trash_days"] > 0
            else:
                rules.append(_rule(kind, row))
        by_metadata = any(rule.metadata is not None for rule in rules)
        return cls(tuple(rules), trash_on, holds.Cover(holding), by_metadata)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was in force at `since`, and is until `until` (None: for ever) while the version stays the same."""

    version: str
    in_force: InForce | None
    since: datetime
    until: datetime | None
    characters: int


_known: Remembered[UUID, _Known] = Remembered(REMEMBERED, lambda known: known.characters + ENTRY)


class Question:
    """What is in force in a workspace at `now`, asked along with something else: `sql` is a value of the statement,
    `values` are its parameters, and `answer` reads it."""

    def __init__(self, workspace_id: UUID, now: datetime) -> None:
        known = _known.get(workspace_id)
        if known is not None and (now < known.since or (known.until is not None and now >= known.until)):
            known = None
        self.workspace_id, self.now, self.known = workspace_id, now, known

    @property
    def sql(self) -> str:
        return OF_ONE if self.known is None else OF_KNOWN

    @property
    def values(self) -> dict[str, Any]:
        version = self.known.version if self.known is not None else None
        return {"workspace": self.workspace_id, "now": self.now, "known_version": version}

    @property
    def known_mark(self) -> object | None:
        """That of what is known; None too where nothing is in force."""
        return self.known.in_force.mark if self.known is not None and self.known.in_force is not None else None

    def answer(self, text: str | None) -> InForce | None:
        """None: nothing is in force."""
        if text is None:
            assert self.known is not None  # noqa: S101  no version is known by NULL
            return self.known.in_force
        if " " not in text:  # another version than the one that is known, alone
            with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # isolation/backend
                cursor.execute(f"SELECT {OF_ONE}", {**self.values, "known_version": None})
                text = cursor.fetchone()[0]
        version, _, rows = text.partition(" ")
        read: list[Row] = orjson.loads(rows) if rows else []
        in_force = InForce.of(read) if read else None
        _known.put(self.workspace_id, _Known(version, in_force, self.now, _end_of(read), len(text)))
        return in_force


def of_workspaces(workspace_ids: list[UUID], now: datetime) -> dict[UUID, InForce]:
    """Of each workspace its own and the system's."""
    with connection.cursor() as cursor:
        cursor.execute(OF_SEVERAL, {"workspaces": workspace_ids, "now": now})
        rows = [(pk, kind, json.loads(row)) for pk, kind, row in cursor.fetchall()]
    return {each: InForce.of((kind, row) for pk, kind, row in rows if pk in (each, None)) for each in workspace_ids}


def _end_of(rows: Iterable[Row]) -> datetime | None:
    """When the first of the policies that were switched off stops to protect."""
    ends = [datetime.fromisoformat(row["acts_from"]) for _, row in rows if row.get("enabled") is False]
    return min(ends, default=None)


def _rule(level: str, row: dict[str, Any]) -> Rule:
    """As `rules.rule` makes it from the policy's object."""
    acts_from = row["acts_from"] if row["action"] != "retain" else None
    return Rule(
        id=UUID(row["id"]),
        level=level,
        action=row["action"],
        counted_from=row["counted_from"],
        days=row["days"],
        target_id=_uuid(row.get("target_id")),
        external_ref_prefix=row["external_ref_prefix"],
        metadata=row["metadata"],
        origin=row["origin"],
        acts_from=datetime.fromisoformat(acts_from) if acts_from else None,
        name=row["name"],
    )


def _uuid(text: str | None) -> UUID | None:
    return UUID(text) if text else None
